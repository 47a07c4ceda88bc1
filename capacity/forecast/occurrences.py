"""How single events stray from their kind: each past one left out whole and forecast from all others.

Rolling origins meet an event once or never in a year. Gram matrices add up over days, so a fit without an event's days
is a subtraction and one small solve: every past event tells how far off it would have been.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from capacity.forecast import regression
from capacity.forecast.design import Design
from capacity.forecast.level import Filtered, robust_filter
from capacity.forecast.tables import Event

Floats = npt.NDArray[np.float64]
# Before any event is seen, one strays from its kind by a quarter of its log uplift: a doubling by some 17 %.
PRIOR_SPREAD, _PRIOR_WORTH = 0.25, 2.0
_KIND_WORTH = 4.0  # events of a kind that weigh as much as all kinds together
_LEAST_UPLIFT = 0.05  # log units: no event is so small that its strength is exactly known
_MOST = 60  # past events that are left out, the newest


@dataclass(frozen=True)
class Spread:
    """Spread of single events about their kind.

    ``relative`` is the standard deviation a kind, relative to the log uplift; ``variance`` (days,) what it makes of the
    common log error on each day of history and horizon; ``past`` one (kind, start, error, expected sd) an event.
    """

    relative: dict[str, float]
    variance: Floats
    past: tuple[tuple[str, int, float, float], ...]

    def n_past(self, kind: str) -> int:
        """Past events of a kind."""
        return sum(1 for name, *_ in self.past if name == kind)


def learn_spread(
    events: Sequence[Event],
    design: Design,
    *,
    logs: Floats,
    theta: Floats,
    filtered: Filtered,
    span: regression.Moments,
    shrinkage: regression.Shrinkage,
    ratio: Floats,
) -> Spread:
    """Leave out each past event that all series share, and learn from how far off it was.

    Parameters
    ----------
    events : sequence of Event
        Past and coming.
    design, logs, theta, filtered, span, shrinkage, ratio
        Of the series that learn: regressors, log volumes, effects, filter, moments of all days, what they share, and
        the level's memory.

    References
    ----------
    .. [1] R. D. Cook, S. Weisberg (1982). Residuals and Influence in Regression, section 2.2 (deletion).
    """
    n_history = logs.shape[1]
    shared = [e for e in events if e.series is None and e.intensity > 0]
    pool = regression.pooled_system(span, shrinkage, design)
    mean: Floats = np.asarray(np.linalg.solve(*pool), dtype=np.float64)
    uplift = _uplift(design, mean)
    past = [e for e in shared if e.start >= 1 and e.end < n_history and _known(logs, e) > 0][-_MOST:]
    found: list[tuple[str, int, float, float]] = []
    if past:
        windows = [(e.start, e.end + 1) for e in past]
        residual = logs - design.predict(theta, slice(0, n_history))
        state = robust_filter(residual, ratio=ratio, sigma=shrinkage.sigma).state
        blocks = regression.pooled_windows(design, filtered, shrinkage, windows)
        for event, gram, right in zip(past, *blocks, strict=True):
            error, sd = _left_out(
                event,
                (pool[0] - gram, pool[1] - right),
                mean=mean,
                design=design,
                residual=residual,
                state=state,
                shrinkage=shrinkage,
                ratio=ratio,
            )
            found.append((event.kind, event.start, error, sd))
    sizes = [max(_size(uplift, e), _LEAST_UPLIFT) for e in past]
    relative = _relative(found, sizes, {e.kind for e in shared})
    variance = np.zeros(len(uplift))
    for event in shared:
        days = slice(max(event.start, 0), max(event.end + 1, 0))
        size = np.maximum(np.abs(uplift[days]), _LEAST_UPLIFT)
        variance[days] = np.maximum(variance[days], (relative[event.kind] * size) ** 2)
    return Spread(relative, variance, tuple(found))


def _known(logs: Floats, event: Event) -> int:
    return int(np.isfinite(logs[:, event.start : event.end + 1]).any(axis=1).sum())


def _uplift(design: Design, mean: Floats) -> Floats:
    """(days,) pooled log uplift of all events that series share."""
    n_shared = design.shared.shape[1]
    return np.asarray(design.shared @ (mean[:n_shared] * (design.parts[:n_shared] == "event")))


def _size(uplift: Floats, event: Event) -> float:
    return float(np.abs(uplift[event.start : event.end + 1]).mean())


def _left_out(
    event: Event,
    system: tuple[Floats, Floats],
    *,
    mean: Floats,
    design: Design,
    residual: Floats,
    state: Floats,
    shrinkage: regression.Shrinkage,
    ratio: Floats,
) -> tuple[float, float]:
    """Mean error of an event's days forecast from all others, and what noise and doubt alone would make of it."""
    days = slice(event.start, event.end + 1)
    covariance = np.linalg.inv(system[0])
    own = residual[:, days] - state[:, event.start, None]
    known = np.isfinite(own)
    rows = np.broadcast_to(design.rows(slice(None), days), (*own.shape, design.n_columns))
    row = rows[known].mean(axis=0)
    error = float(own[known].mean() + row @ (mean - covariance @ system[1]))
    n_series = int(known.any(axis=1).sum())
    common = shrinkage.together + (1 - shrinkage.together) / n_series
    level = np.sqrt(np.median(ratio)) + np.median(ratio) * known.shape[1] / 2
    noise = np.median(shrinkage.sigma) ** 2 * common * (1 / known.any(axis=0).sum() + level)
    return error, float(np.sqrt(noise + row @ covariance @ row))


def _relative(
    found: Sequence[tuple[str, int, float, float]], sizes: Sequence[float], kinds: set[str]
) -> dict[str, float]:
    """Spread a kind, shrunk to that of all kinds, and that to the prior."""
    excess = {kind: [0.0, 0.0] for kind in kinds}
    for (kind, _, error, sd), size in zip(found, sizes, strict=True):
        excess[kind][0] += (error**2 - sd**2) / size**2
        excess[kind][1] += 1.0
    total, count = (float(sum(value[k] for value in excess.values())) for k in (0, 1))
    everywhere = max((_PRIOR_WORTH * PRIOR_SPREAD**2 + total) / (_PRIOR_WORTH + count), 0.02**2)
    return {
        kind: float(np.sqrt(max((_KIND_WORTH * everywhere + own) / (_KIND_WORTH + n), 0.02**2)))
        for kind, (own, n) in excess.items()
    }


def reasons(spread: Spread, coming: Sequence[Event]) -> Iterator[str]:
    """Say, a kind ahead, how many past events it leans on and how far single ones stray."""
    for kind in dict.fromkeys(event.kind for event in coming if event.intensity > 0):
        if kind not in spread.relative:
            yield f"{kind!r} differs by series: how far single ones stray is known from the rolling origins alone"
            continue
        n, stray = spread.n_past(kind), spread.relative[kind]
        others = len(spread.past) - n
        if n >= 2:
            errors = [abs(error) for name, _, error, _ in spread.past if name == kind]
            yield (
                f"{kind!r} leans on {n} past events, which came {np.mean(errors):.0%} off on average when left out; a "
                f"single one is taken to stray by {stray:.0%} of its log uplift"
            )
            continue
        source = f"learnt from {others} events of other kinds" if others else "a stated prior: no other event is known"
        seen = "one past event cannot show how events differ" if n else "no past event is in the history"
        yield f"{kind!r}: {seen}; how far a single one strays ({stray:.0%} of its log uplift) is {source}"
