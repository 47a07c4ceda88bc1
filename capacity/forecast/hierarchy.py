"""What is believed of promotion effects before their data: mean and covariance of every event day, past and ahead."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from capacity.forecast.eventdays import (
    LAST,
    MAIN,
    N_BLOCKS,
    N_TERMS,
    OPENING,
    PART,
    SIDES,
    WEEKDAY,
    EventDay,
    terms,
)

Floats = npt.NDArray[np.float64]
_COURSE_DAYS = 30.0  # over which errors of the ordinary course stay together


@dataclass(frozen=True)
class Prior:
    """Before any data: mean log uplift of a promotion's first day over ``kinds``, and how far kinds lie apart."""

    uplift: float
    uplift_sd: float
    kind_sd: float
    rush: float  # what the opening brings at once, relative to what the promotion adds to a full day otherwise
    growth: float = 0.03  # of the log uplift a year: published uplifts of one kind grew over the years
    growth_sd: float = 0.06
    growth_kind_sd: float = 0.05
    rush_growth: float = 0.05  # of the log rush a year, beside the uplift's
    rush_growth_sd: float = 0.06


# Published promotions multiply users by 1.2–3 and conversion by 1.2–4 on their first day: 0.2 to 1.4 in logs, which a
# kind a standard deviation and a half from the middle reaches at both ends.
DAU_PRIOR = Prior(uplift=0.5, uplift_sd=0.5, kind_sd=0.5, rush=0.1)
# The first hour brings far more orders than its share of a day: of 2019's Double 11 it took 84.0 of the day's 268.4
# thousand million CNY (Alibaba, 11 November 2019), of 2014's about a fifth. Beside a day of some eight ordinary ones
# that is 0.3 to 0.5 of what the other hours add; promotions that people know less of open with a smaller crowd.
CONVERSION_PRIOR = Prior(uplift=0.5, uplift_sd=0.5, kind_sd=0.5, rush=0.25)
_RUSH_SD, _RUSH_KIND_SD = 0.8, 0.4  # of the log rush: over all kinds, and of a kind about them
_USUAL_EVENT, _USUAL_DAY = 0.12, 0.05  # spreads at which the rush is first looked at


@dataclass(frozen=True)
class Observations:
    """Effects seen: ``effect`` (n,) = log volume − its ordinary course, with ``variance`` (n,), at ``days``.

    ``shared_sd`` (n,) is what the ordinary course itself may be off by: days of one event are off together.
    ``hidden_sd`` (n,) is the doubt of what limits hid on a day: one unknown share stands behind all of it.
    ``row`` says which observation each event day belongs to: a day in two promotions has two event days and one row;
    ``weekday`` is the ordinary weekday effect of each event day.
    """

    days: tuple[EventDay, ...]
    row: npt.NDArray[np.intp]
    effect: Floats
    variance: Floats
    shared_sd: Floats
    hidden_sd: Floats
    weekday: Floats


@dataclass(frozen=True)
class Hierarchy:
    """Calendar days of the past, then those ahead: ``mean`` (n,) and covariances (n, n) before any data.

    ``fixed`` is what kinds share, ``event`` and ``single`` those of one unit of spread between promotions and between
    days of one; ``seen`` (n_past, n_past) that of the observations about the effects; ``main`` (n,) how fully a day
    lies in promotions and ``share`` (n_past, promotions) how much of it each past promotion has, named by ``names``.
    """

    mean: Floats
    fixed: Floats
    event: Floats
    single: Floats
    seen: Floats
    main: Floats
    share: Floats
    names: tuple[str, ...]

    @property
    def n_past(self) -> int:
        """Calendar days of the past."""
        return len(self.seen)


def hierarchy(
    past: Observations,
    ahead: Sequence[EventDay],
    row: npt.NDArray[np.intp],
    n_rows: int,
    weekday: Floats,
    *,
    prior: Prior,
    shifts: dict[str, float],
) -> Hierarchy:
    """Lay past observations and ``n_rows`` calendar days ahead out in one joint prior.

    ``row`` names the calendar day of each of the event days ``ahead``, ``weekday`` its weekday effect.
    """
    days = (*past.days, *ahead)
    cell = np.concatenate([past.row, row + len(past.effect)])
    weekday = np.concatenate([past.weekday, weekday])
    rush = dict.fromkeys(("", *(day.kind for day in days)), prior.rush)
    first, phi = _laid_out(past, days, cell, n_rows, weekday, prior=prior, shifts=shifts, rush=rush)
    if not first.n_past or not phi[: len(past.days), OPENING].any():
        return first
    # The rush may be far from what was believed: lay out once more about what the past shows of it.
    seen = _seen_rush(past, first, phi, rush)
    return _laid_out(past, days, cell, n_rows, weekday, prior=prior, shifts=shifts, rush=seen)[0]


def _laid_out(
    past: Observations,
    days: Sequence[EventDay],
    cell: npt.NDArray[np.intp],
    n_rows: int,
    weekday: Floats,
    *,
    prior: Prior,
    shifts: dict[str, float],
    rush: dict[str, float],
) -> tuple[Hierarchy, Floats]:
    """Joint prior, linear about the kinds' typical uplift and ``rush``, and the regressors of each event day."""
    n_past = len(past.effect)
    uplift = _uplifts(past, prior, rush)
    phi, known = terms(days, uplift=uplift, rush=rush, weekday=weekday)
    gather = np.zeros((n_past + n_rows, len(days)))
    gather[cell, np.arange(len(days))] = 1.0
    event, single = _event_covariance(days, phi, uplift)
    main = phi[:, MAIN].sum(axis=1)
    names = tuple(dict.fromkeys(day.promotion for day in past.days))
    of_promotion = np.array([[day.promotion == name for name in names] for day in past.days], dtype=float)
    own = gather[:n_past, : len(past.days)] * main[: len(past.days)]
    mean = known + _prior_mean(days, phi, prior, shifts, begins=_first_blocks(past.days))
    mean += phi[:, OPENING] * np.log([prior.rush / rush[day.kind] for day in days] or np.zeros(0))
    joint = Hierarchy(
        mean=gather @ mean,
        fixed=gather @ _fixed_covariance(days, phi, prior) @ gather.T,
        event=gather @ event @ gather.T,
        single=gather @ single @ gather.T,
        seen=np.diag(past.variance) + _course_covariance(past) + np.outer(past.hidden_sd, past.hidden_sd),
        main=gather @ main,
        share=own @ of_promotion.reshape(len(past.days), len(names)),
        names=names,
    )
    return joint, phi


def _seen_rush(past: Observations, joint: Hierarchy, phi: Floats, rush: dict[str, float]) -> dict[str, float]:
    """Posterior middle of each kind's rush at usual spreads."""
    n = joint.n_past
    full = joint.fixed + _USUAL_EVENT**2 * joint.event + _USUAL_DAY**2 * joint.single
    solved = np.linalg.solve(full[:n, :n] + joint.seen, past.effect - joint.mean[:n])
    kinds = np.array([day.kind for day in past.days])
    lean = phi[: len(kinds), OPENING] * solved[past.row]
    return {
        kind: value
        * float(np.exp(np.clip(_RUSH_SD**2 * lean.sum() + _RUSH_KIND_SD**2 * lean[kinds == kind].sum(), -2.5, 1.5)))
        for kind, value in rush.items()
    }


def _uplifts(past: Observations, prior: Prior, rush: dict[str, float]) -> dict[str, float]:
    """Typical U of each kind: what its fully covered days show without the rush, shrunk to the prior (two days)."""
    seen: dict[str, list[float]] = {}
    for day, row in zip(past.days, past.row, strict=True):
        if day.inside and day.cover > 0.6:
            opening = np.log1p(rush[day.kind] * day.opens * -np.expm1(-max(float(past.effect[row]), 0.0)))
            seen.setdefault(day.kind, []).append((float(past.effect[row]) - opening) / max(day.intensity, 0.1))
    return {kind: float(np.expm1((sum(v) + 2 * prior.uplift) / (len(v) + 2))) for kind, v in seen.items()} | {
        "": float(np.expm1(prior.uplift))
    }


def _first_blocks(past: Sequence[EventDay]) -> dict[str, int]:
    """First block (time since the start) of each kind that any past event shows."""
    first: dict[str, int] = {}
    for day in past:
        if day.inside:
            block = next(k for k, share in enumerate(day.blocks) if share > 0)
            first[day.kind] = min(block, first.get(day.kind, N_BLOCKS))
    return first


def _prior_mean(
    days: Sequence[EventDay], phi: Floats, prior: Prior, shifts: dict[str, float], *, begins: dict[str, int]
) -> Floats:
    """Mean of each event day's effect before its data.

    Later blocks are weaker. But a kind whose first days no past event shows is not given a rush that nobody has seen:
    those days are centred on the first that were seen, with the spread that blocks have among themselves.
    """
    mean = np.zeros(N_TERMS)
    mean[WEEKDAY] = -0.3
    first = np.array([begins.get(day.kind, 0) for day in days], dtype=np.intp)
    decline = prior.uplift * 0.8 ** np.maximum(np.arange(N_BLOCKS), first[:, None])
    shift = np.array([shifts.get(day.kind, 0.0) for day in days])
    years = np.array([day.years for day in days])
    main = phi[:, MAIN]
    grown = years * (prior.growth * main.sum(axis=1) + prior.rush_growth * phi[:, OPENING])
    return np.asarray(phi @ mean + (main * decline).sum(axis=1) + shift * main.sum(axis=1) + grown)


def _term_sd() -> tuple[Floats, Floats]:
    """Spread of each term over all kinds, and of a kind about it."""
    pool, kind = np.zeros(N_TERMS), np.zeros(N_TERMS)
    pool[MAIN], kind[MAIN] = 0.2, 0.15
    pool[PART], kind[PART] = 0.2, 0.1
    pool[OPENING], kind[OPENING] = _RUSH_SD, _RUSH_KIND_SD
    pool[LAST], kind[LAST] = 0.1, 0.1
    pool[WEEKDAY], kind[WEEKDAY] = 0.3, 0.1
    pool[SIDES], kind[SIDES] = 0.08, 0.06
    return pool, kind


def _fixed_covariance(days: Sequence[EventDay], phi: Floats, prior: Prior) -> Floats:
    """Covariance of event days through what kinds share: amplitude, shape and growth, of all kinds and of each."""
    pool, kind = _term_sd()
    names = np.array([day.kind for day in days])
    same = (names[:, None] == names[None]).astype(float)
    main = phi[:, MAIN].sum(axis=1)
    years = np.array([day.years for day in days])
    # Growth is measured from about the middle of the past: it must not decide the level of events near today.
    grown = main * years
    amplitude = np.outer(main, main)
    growth = np.outer(grown, grown)
    rushed = phi[:, OPENING] * years
    shared = (phi * pool**2) @ phi.T + prior.uplift_sd**2 * amplitude + prior.growth_sd**2 * growth
    shared += prior.rush_growth_sd**2 * np.outer(rushed, rushed)
    own = (phi * kind**2) @ phi.T + prior.kind_sd**2 * amplitude + prior.growth_kind_sd**2 * growth
    return np.asarray(shared + same * own)


def _event_covariance(days: Sequence[EventDay], phi: Floats, uplift: dict[str, float]) -> tuple[Floats, Floats]:
    """Covariances of one unit of spread between events, and between days of an event.

    Strong events stray further than weak ones: the spread goes with the root of the kind's log uplift.
    """
    typical = np.log1p(np.mean(list(uplift.values())))
    depth = np.array([np.log1p(uplift.get(day.kind, uplift[""])) for day in days])
    size = np.clip(np.sqrt((0.1 + np.abs(depth)) / (0.1 + abs(typical))), 0.5, 2.0)
    identity = np.array([day.promotion for day in days])
    same = identity[:, None] == identity[None]
    main = phi[:, MAIN].sum(axis=1) * size
    side = np.abs(phi[:, SIDES]).sum(axis=1) * 0.5
    event = same * np.outer(main, main)
    return event.astype(float), np.diag((main + side) ** 2)


def _course_covariance(past: Observations) -> Floats:
    """Covariance of effects through the ordinary course they are measured against: days nearby are off together."""
    at = np.zeros(len(past.effect))
    at[past.row] = [day.day for day in past.days]
    near = np.exp(-np.abs(at[:, None] - at[None]) / _COURSE_DAYS)
    return np.asarray(np.outer(past.shared_sd, past.shared_sd) * near)
