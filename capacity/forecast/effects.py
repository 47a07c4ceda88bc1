"""Promotion effects as one hierarchical model: all kinds, kind, growth, single event, single day.

On the log scale an event day's effect is φ·(g + b_kind) + years·main·(growth + growth_kind) + main·u_event + v_day.
Everything is Gaussian given the spread of events (u) and of days (v), which are integrated over a grid: with few past
events the forecast is a mixture with heavy tails. No past event of a kind leaves the pool of kinds and its spread.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve

from capacity.forecast.eventdays import EventDay
from capacity.forecast.hierarchy import Hierarchy, Observations, Prior, hierarchy

Floats = npt.NDArray[np.float64]
EVENT_SPREADS = np.array([0.03, 0.05, 0.08, 0.12, 0.18, 0.27, 0.4])  # of one promotion about its kind, log units
DAY_SPREADS = np.array([0.02, 0.05, 0.1])  # of one day about its promotion
# A promotion strays from its kind by some 12 %, two thirds of times between 6 and 24 %, before any has been seen.
_SPREAD_CENTRE, _SPREAD_WIDTH = np.log(0.12), 0.7


@dataclass(frozen=True)
class Sources:
    """Variance (days,) of an effect ahead by where its doubt comes from; they add up to that of the samples.

    ``kind``: what promotions of the kind do on average, its shape and growth; ``event``: how far one promotion strays
    from it; ``day``: how far a single day strays.
    """

    kind: Floats
    event: Floats
    day: Floats

    @property
    def total(self) -> Floats:
        """(days,) variance."""
        return np.asarray(self.kind + self.event + self.day)


@dataclass(frozen=True)
class EffectForecast:
    """Effects ahead: ``mean`` (days,), joint ``samples`` (n_samples, days) and what they rest on.

    ``left_out`` is, per past event, the mean error of its days within the promotion when forecast from all others, and
    the standard deviation expected of it; ``event_sd`` the spread of single promotions about their kind; ``main``
    (days,) how fully each day lies in a promotion. ``gain`` (days, observations) is how far the mean follows each
    observed effect, ``follows`` (days,) by past promotion how far it follows that promotion's uplift. ``one_more``
    (days,) is the variance expected after the imagined days have been seen too.
    """

    mean: Floats
    main: Floats
    samples: Floats
    left_out: dict[str, tuple[float, float]]
    event_sd: float
    inflation: float
    gain: Floats
    follows: dict[str, Floats]
    sources: Sources
    one_more: Floats


@dataclass(frozen=True)
class _Component:
    """The posterior at one pair of spreads: log weight, mean and covariance ahead, gain, and the past's factors."""

    log_weight: float
    between: float
    daily: float
    mean: Floats
    covariance: Floats
    gain: Floats
    factor: Floats
    solved: Floats


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
    imagined: Sequence[EventDay] = (),
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
    imagined : sequence of EventDay
        Days of one more promotion, each a calendar day: how much would be known if they had been seen?
    """
    rows = np.concatenate([row, n_rows + np.arange(len(imagined), dtype=np.intp)])
    ordinary = np.concatenate([weekday, np.zeros(len(imagined))])
    joint = hierarchy(past, (*ahead, *imagined), rows, n_rows + len(imagined), ordinary, prior=prior, shifts=shifts)
    mix = _mixture(past, joint)
    weight = np.exp([part.log_weight for part in mix])
    weight /= weight.sum()
    best = mix[int(weight.argmax())]
    left_out = _leave_out(past, joint, best)
    inflation = _inflation(left_out)
    means = np.stack([joint.mean[joint.n_past :] + part.mean for part in mix])[:, :n_rows]
    centre = weight @ means
    chosen = rng.choice(len(mix), size=n_samples, p=weight)
    normal = rng.standard_normal((n_samples, n_rows))
    samples = np.empty((n_samples, n_rows))
    for index in np.unique(chosen):
        hit = chosen == index
        samples[hit] = means[index] + normal[hit] @ _root(mix[index].covariance[:n_rows, :n_rows]).T
    samples = centre + inflation * (samples - centre)
    main = joint.main[joint.n_past :][:n_rows]
    gain = np.tensordot(weight, np.stack([part.gain for part in mix]), axes=1)[:n_rows]
    follows = (gain @ joint.share) / np.where(main > 0, main, np.inf)[:, None]
    apart = weight @ (means - centre) ** 2
    return EffectForecast(
        centre,
        main,
        samples,
        left_out,
        float(weight @ [part.between for part in mix]),
        inflation,
        gain,
        dict(zip(joint.names, follows.T, strict=True)),
        _sources(mix, weight, joint, n_rows, apart=apart, inflation=inflation),
        inflation**2 * (apart + _after_imagined(mix, weight, n_rows, noise=_typical_noise(past))),
    )


def _root(covariance: Floats) -> Floats:
    """Matrix R with R Rᵀ = covariance, also where some days have no effect at all."""
    value, vector = np.linalg.eigh(covariance)
    return np.asarray(vector * np.sqrt(np.maximum(value, 0.0)))


def _mixture(past: Observations, joint: Hierarchy) -> list[_Component]:
    """Posteriors over the grid of spreads; the largest log weight is 0."""
    n_past = joint.n_past
    residual = past.effect - joint.mean[:n_past]
    result = []
    for between in EVENT_SPREADS:
        for daily in DAY_SPREADS:
            full = joint.fixed + between**2 * joint.event + daily**2 * joint.single
            log_weight = -0.5 * ((np.log(between) - _SPREAD_CENTRE) / _SPREAD_WIDTH) ** 2
            log_weight -= 0.5 * ((np.log(daily) - np.log(0.05)) / 0.7) ** 2
            factor = np.zeros((0, 0))
            solved = np.zeros(0)
            gain = np.zeros((len(full) - n_past, n_past))
            covariance = full[n_past:, n_past:]
            if n_past:
                factor = cho_factor(full[:n_past, :n_past] + joint.seen, lower=True)[0]
                solved = cho_solve((factor, True), residual)
                gain = cho_solve((factor, True), full[:n_past, n_past:]).T
                covariance = covariance - gain @ full[:n_past, n_past:]
                log_weight += -0.5 * residual @ solved - np.log(np.diag(factor)).sum()
            mean = gain @ residual
            result.append(
                _Component(float(log_weight), float(between), float(daily), mean, covariance, gain, factor, solved)
            )
    largest = max(part.log_weight for part in result)
    return [replace(part, log_weight=part.log_weight - largest) for part in result]


def _sources(
    mix: Sequence[_Component], weight: Floats, joint: Hierarchy, n_rows: int, *, apart: Floats, inflation: float
) -> Sources:
    """Split the variance ahead; a promotion that has not begun strays by as much as before any data."""
    ahead = slice(joint.n_past, joint.n_past + n_rows)
    between = weight @ [part.between**2 for part in mix]
    daily = weight @ [part.daily**2 for part in mix]
    total = weight @ np.stack([np.diag(part.covariance)[:n_rows] for part in mix]) + apart
    event = np.minimum(between * np.diag(joint.event)[ahead], total)
    day = np.minimum(daily * np.diag(joint.single)[ahead], total - event)
    return Sources(*(inflation**2 * part for part in (total - event - day, event, day)))


def _typical_noise(past: Observations) -> float:
    """Variance with which a day of history shows its effect."""
    return float(np.median(past.variance + past.shared_sd**2)) if len(past.effect) else 0.05**2


def _after_imagined(mix: Sequence[_Component], weight: Floats, n_rows: int, *, noise: float) -> Floats:
    """(n_rows,) variance left when the imagined days have been seen; the spreads are not learnt from them."""
    left = np.zeros(n_rows)
    for part, share in zip(mix, weight, strict=True):
        own, cross = np.diag(part.covariance)[:n_rows], part.covariance[:n_rows, n_rows:]
        seen = part.covariance[n_rows:, n_rows:] + noise * np.eye(cross.shape[1])
        solved = np.linalg.solve(seen, cross.T) if len(seen) else cross.T
        left += share * (own - (cross * solved.T).sum(axis=1))
    return left


def _leave_out(past: Observations, joint: Hierarchy, best: _Component) -> dict[str, tuple[float, float]]:
    """Error of each whole event's days within the promotion, forecast from all other events (closed form)."""
    inverse = cho_solve((best.factor, True), np.eye(joint.n_past)) if joint.n_past else best.factor
    result: dict[str, tuple[float, float]] = {}
    for column, name in enumerate(joint.names):
        rows = np.unique(past.row[[i for i, day in enumerate(past.days) if day.promotion == name]])
        weight = joint.share[rows, column]
        if weight.sum() <= 0:
            continue
        covariance = np.linalg.inv(inverse[np.ix_(rows, rows)])
        weight = weight / weight.sum()
        error = float(weight @ covariance @ best.solved[rows])
        result[name] = (error, float(np.sqrt(weight @ covariance @ weight)))
    return result


def _inflation(left_out: dict[str, tuple[float, float]]) -> float:
    """Factor on the forecast's spread that makes left-out events as far off as expected; not below three quarters.

    Six events' worth of belief in the model keeps a few events from deciding.
    """
    z = np.array([error / sd for error, sd in left_out.values()])
    return float(max(0.75, np.sqrt(((z**2).sum() + 6.0) / (len(z) + 6.0))))
