"""Promotion effects as one hierarchical model: all kinds, kind, growth, single event, single day.

On the log scale an event day's effect is φ·(g + b_kind) + years·main·(growth + growth_kind) + main·u_event + v_day.
Everything is Gaussian given the spread of events (u) and of days (v), which are integrated over a grid: with few past
events the forecast is a mixture with heavy tails. No past event of a kind leaves the pool of kinds and its spread.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve

from capacity.forecast.eventdays import LAST, MAIN, N_BLOCKS, N_TERMS, PART, SIDES, WEEKDAY, EventDay, terms

Floats = npt.NDArray[np.float64]
EVENT_SPREADS = np.array([0.03, 0.05, 0.08, 0.12, 0.18, 0.27, 0.4])  # of one promotion about its kind, log units
DAY_SPREADS = np.array([0.02, 0.05, 0.1])  # of one day about its promotion
_COURSE_DAYS = 30.0  # over which errors of the ordinary course stay together
# A promotion strays from its kind by some 12 %, two thirds of times between 6 and 24 %, before any has been seen.
_SPREAD_CENTRE, _SPREAD_WIDTH = np.log(0.12), 0.7


@dataclass(frozen=True)
class Prior:
    """Before any data: mean log uplift of a promotion's first day over ``kinds``, and how far kinds lie apart."""

    uplift: float
    uplift_sd: float
    kind_sd: float
    rush: float  # how much stronger the hours after an evening opening are than the promotion's other hours
    growth: float = 0.03  # of the log uplift a year: published uplifts of one kind grew over the years
    growth_sd: float = 0.06
    growth_kind_sd: float = 0.03


# Published promotions multiply users by 1.2–3 and conversion by 1.2–4 on their first day: these hold both ends.
DAU_PRIOR = Prior(uplift=0.5, uplift_sd=0.4, kind_sd=0.4, rush=0.1)
# The first hours bring far more orders than their share of a day: the first hour of 2019's Double 11 took 84.0 of the
# day's 268.4 thousand million CNY (Alibaba, 11 November 2019). An evening opening is more than the evening's share.
CONVERSION_PRIOR = Prior(uplift=0.5, uplift_sd=0.4, kind_sd=0.4, rush=0.3)


@dataclass(frozen=True)
class Observations:
    """Effects seen: ``effect`` (n,) = log volume − its ordinary course, with ``variance`` (n,), at ``days``.

    ``shared_sd`` (n,) is what the ordinary course itself may be off by: days of one event are off together.
    ``row`` says which observation each event day belongs to: a day in two promotions has two event days and one row;
    ``weekday`` is the ordinary weekday effect of each event day.
    """

    days: tuple[EventDay, ...]
    row: npt.NDArray[np.intp]
    effect: Floats
    variance: Floats
    shared_sd: Floats
    weekday: Floats


@dataclass(frozen=True)
class EffectForecast:
    """Effects ahead: ``mean`` (days,), joint ``samples`` (n_samples, days) and what they rest on.

    ``left_out`` is, per past event, the mean error of its days within the promotion when forecast from all others, and
    the standard deviation expected of it; ``event_sd`` the spread of single promotions about their kind; ``main``
    (days,) how fully each day lies in a promotion.
    """

    mean: Floats
    main: Floats
    samples: Floats
    left_out: dict[str, tuple[float, float]]
    event_sd: float
    inflation: float


def forecast_effects(
    past: Observations,
    ahead: Sequence[EventDay],
    row: npt.NDArray[np.intp],
    n_rows: int,
    weekday: Floats,
    *,
    prior: Prior,
    shifts: dict[str, float],
    n_samples: int,
    rng: np.random.Generator,
) -> EffectForecast:
    """Forecast the effects of the event days ``ahead`` on ``n_rows`` calendar days.

    Parameters
    ----------
    past : Observations
        What past promotions did.
    ahead, row, weekday
        Event days to come, the calendar day each belongs to, and each day's weekday effect.
    prior : Prior
        Before any data.
    shifts : dict
        Shift of a kind's prior mean by what reviews taught; data of that kind override it.
    """
    days = (*past.days, *ahead)
    n_past = len(past.effect)
    uplift = _uplifts(past, prior)
    phi, known = terms(days, uplift=uplift, weekday=np.concatenate([past.weekday, weekday]))
    cell = np.concatenate([past.row, row + n_past])
    gather = np.zeros((n_past + n_rows, len(days)))
    gather[cell, np.arange(len(days))] = 1.0
    mean = gather @ (known + _prior_mean(days, phi, prior, shifts, begins=_first_blocks(past.days)))
    fixed = gather @ _fixed_covariance(days, phi, prior) @ gather.T
    event, single = _event_covariance(days, phi, uplift)
    event, single = gather @ event @ gather.T, gather @ single @ gather.T
    mix = _mixture(past, mean[:n_past], fixed, event, single, n_past)
    weight = np.array([m[0] for m in mix])
    weight = np.exp(weight - weight.max())
    weight /= weight.sum()
    spreads = np.repeat(EVENT_SPREADS, len(DAY_SPREADS))
    best = int(weight.argmax())
    left_out = _leave_out(past, phi, mix[best][3], mix[best][4])
    inflation = _inflation(left_out)
    means = np.stack([mean[n_past:] + m[1] for m in mix])
    centre = weight @ means
    chosen = rng.choice(len(mix), size=n_samples, p=weight)
    normal = rng.standard_normal((n_samples, n_rows))
    samples = np.empty((n_samples, n_rows))
    for index in np.unique(chosen):
        rows = chosen == index
        samples[rows] = means[index] + normal[rows] @ _root(mix[index][2]).T
    samples = centre + inflation * (samples - centre)
    main = gather[n_past:] @ phi[:, MAIN].sum(axis=1)
    return EffectForecast(centre, main, samples, left_out, float(weight @ spreads), inflation)


def _root(covariance: Floats) -> Floats:
    """Matrix R with R Rᵀ = covariance, also where some days have no effect at all."""
    value, vector = np.linalg.eigh(covariance)
    return np.asarray(vector * np.sqrt(np.maximum(value, 0.0)))


def _uplifts(past: Observations, prior: Prior) -> dict[str, float]:
    """Typical U of each kind: what its fully covered days show, shrunk to the prior (worth two days)."""
    seen: dict[str, list[float]] = {}
    for day, row in zip(past.days, past.row, strict=True):
        if day.inside and day.cover > 0.6:
            seen.setdefault(day.kind, []).append(float(past.effect[row]) / max(day.intensity, 0.1))
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
    mean[PART] = prior.rush
    first = np.array([begins.get(day.kind, 0) for day in days], dtype=np.intp)
    decline = prior.uplift * 0.8 ** np.maximum(np.arange(N_BLOCKS), first[:, None])
    shift = np.array([shifts.get(day.kind, 0.0) for day in days])
    years = np.array([day.years for day in days])
    main = phi[:, MAIN]
    return np.asarray(phi @ mean + (main * decline).sum(axis=1) + (shift + prior.growth * years) * main.sum(axis=1))


def _term_sd() -> tuple[Floats, Floats]:
    """Spread of each term over all kinds, and of a kind about it."""
    pool, kind = np.zeros(N_TERMS), np.zeros(N_TERMS)
    pool[MAIN], kind[MAIN] = 0.2, 0.15
    pool[PART], kind[PART] = 0.35, 0.2
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
    shared = (phi * pool**2) @ phi.T + prior.uplift_sd**2 * amplitude + prior.growth_sd**2 * growth
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


def _mixture(
    past: Observations, mean: Floats, fixed: Floats, event: Floats, single: Floats, n_past: int
) -> list[tuple[float, Floats, Floats, Floats, Floats]]:
    """Per grid point: log weight, mean and covariance ahead, factor of the past's covariance, weighted residual."""
    result = []
    residual = past.effect - mean
    seen = np.diag(past.variance) + _course_covariance(past)
    for between in EVENT_SPREADS:
        for daily in DAY_SPREADS:
            full = fixed + between**2 * event + daily**2 * single
            log_prior = -0.5 * ((np.log(between) - _SPREAD_CENTRE) / _SPREAD_WIDTH) ** 2
            log_prior -= 0.5 * ((np.log(daily) - np.log(0.05)) / 0.7) ** 2
            if not n_past:
                result.append((log_prior, np.zeros(len(full)), full, np.zeros((0, 0)), np.zeros(0)))
                continue
            factor = cho_factor(full[:n_past, :n_past] + seen, lower=True)
            solved = cho_solve(factor, residual)
            cross = full[n_past:, :n_past]
            inner = cho_solve(factor, cross.T)
            evidence = -0.5 * residual @ solved - np.log(np.diag(factor[0])).sum()
            result.append(
                (float(log_prior + evidence), cross @ solved, full[n_past:, n_past:] - cross @ inner, factor[0], solved)
            )
    return result


def _course_covariance(past: Observations) -> Floats:
    """Covariance of effects through the ordinary course they are measured against: days nearby are off together."""
    at = np.zeros(len(past.effect))
    at[past.row] = [day.day for day in past.days]
    near = np.exp(-np.abs(at[:, None] - at[None]) / _COURSE_DAYS)
    return np.asarray(np.outer(past.shared_sd, past.shared_sd) * near)


def _leave_out(past: Observations, phi: Floats, factor: Floats, solved: Floats) -> dict[str, tuple[float, float]]:
    """Error of each whole event's days within the promotion, forecast from all other events (closed form)."""
    main = phi[: len(past.days), MAIN].sum(axis=1)
    inverse = cho_solve((factor, True), np.eye(len(factor))) if len(factor) else factor
    result: dict[str, tuple[float, float]] = {}
    for name in dict.fromkeys(day.promotion for day in past.days):
        own = [i for i, day in enumerate(past.days) if day.promotion == name]
        rows = np.unique(past.row[own])
        weight = np.zeros(len(past.effect))
        np.add.at(weight, past.row[own], main[own])
        weight = weight[rows]
        if weight.sum() <= 0:
            continue
        covariance = np.linalg.inv(inverse[np.ix_(rows, rows)])
        weight = weight / weight.sum()
        error = float(weight @ covariance @ solved[rows])
        result[name] = (error, float(np.sqrt(weight @ covariance @ weight)))
    return result


def _inflation(left_out: dict[str, tuple[float, float]]) -> float:
    """Factor on the forecast's spread that makes left-out events as far off as expected; not below three quarters.

    Six events' worth of belief in the model keeps a few events from deciding.
    """
    z = np.array([error / sd for error, sd in left_out.values()])
    return float(max(0.75, np.sqrt(((z**2).sum() + 6.0) / (len(z) + 6.0))))
