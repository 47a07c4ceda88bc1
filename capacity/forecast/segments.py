"""Segments beside the whole: how far each strays from the whole's event effects, and how they add up to it."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from capacity.forecast.eventdays import EventDay

Floats = npt.NDArray[np.float64]
_DEVIATION_SD = 0.08  # of one event in one segment about the whole, log units, before any is seen
_WORTH = 4.0  # events that weigh as much as that


def deviations(
    effects: Floats, lead: Floats, past: Sequence[EventDay], kinds: Sequence[str]
) -> tuple[dict[str, Floats], Floats]:
    """Learn how each segment's effects differ from the whole's on days within promotions.

    Parameters
    ----------
    effects : (segments, days) array
        Log effects of each segment; NaN unknown.
    lead : (days,) array
        Those of the whole.
    past : sequence of EventDay
        Days of past promotions.
    kinds : sequence of str
        Kinds wanted.

    Returns
    -------
    by_kind, sd
        Deviation (segments,) a kind, shrunk to all kinds' and to 0, and the spread (segments,) of one event's.
    """
    by_event: dict[tuple[str, str], list[Floats]] = {}
    for day in past:
        if day.inside and day.cover > 0.5:
            by_event.setdefault((day.kind, day.promotion), []).append(effects[:, day.day] - lead[day.day])
    n = len(effects)
    means = {key: _mean(np.array(rows)) for key, rows in by_event.items()}
    table = np.array(list(means.values())).reshape(-1, n)
    general = _shrunk(table)
    by_kind = {}
    residuals = []
    for kind in kinds:
        rows = np.array([row for (own, _), row in means.items() if own == kind]).reshape(-1, n)
        by_kind[kind] = general + _shrunk(rows - general)
        residuals.append(rows - by_kind[kind])
    rest = np.concatenate(residuals) if residuals else np.zeros((0, n))
    squares = np.nansum(rest**2, axis=0)
    variance = (squares + _WORTH * _DEVIATION_SD**2) / (np.isfinite(rest).sum(axis=0) + _WORTH)
    # Where nothing is known of a kind, segments may stray by as much again.
    return by_kind, np.sqrt(variance)


def _mean(rows: Floats) -> Floats:
    known = np.isfinite(rows)
    count = known.sum(axis=0)
    return np.asarray(np.where(count > 0, np.where(known, rows, 0).sum(axis=0) / np.maximum(count, 1), np.nan))


def _shrunk(rows: Floats) -> Floats:
    """Column sums over (count + 2): a mean shrunk to 0 as by two events without deviation."""
    return np.asarray(np.nansum(rows, axis=0) / (np.isfinite(rows).sum(axis=0) + 2))


def add_up(
    samples: Floats, logs_middle: Floats, open_: npt.NDArray[np.bool_], *, lead: int, past: Floats, rest: Floats
) -> Floats:
    """Close closed days, and make segments agree with the total, future by future, without changing the total.

    Parameters
    ----------
    samples : (n, segments, horizon) array
        Volumes as if every day were open.
    logs_middle : (segments, horizon) array
        Middle forecast on the log scale: its sum over its total is how often people count twice.
    open_ : (segments, horizon) array
        Open days ahead.
    lead : int
        Where the total stands, −1 nowhere.
    past : (segments, days) array
        History of this metric; 0 where closed.
    rest : (days,) array
        History of segments that are not forecast.
    """
    result = np.asarray(samples * open_)
    others = [row for row in range(samples.shape[1]) if row != lead]
    if lead < 0 or not others:
        return result
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = (past[others].sum(axis=0) + rest) / past[lead]
    ratio = ratio[np.isfinite(ratio)]
    additive = len(ratio) and np.quantile(np.abs(ratio - 1), 0.9) < 0.005
    middle = np.exp(logs_middle)
    counted = (middle * open_)[others].sum(axis=0) / middle[lead]
    summed = result[:, others].sum(axis=1)
    wanted = result[:, lead] * (1.0 if additive else counted)
    result[:, others] *= (wanted / np.where(summed > 0, summed, 1.0))[:, None]
    return result
