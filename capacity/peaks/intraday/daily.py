"""The busiest interval of each day: maxima of joint futures, corrected by what past days' maxima turned out to be."""

from dataclasses import dataclass

import numpy as np

from capacity.peaks.intraday.futures import Dependence, learn_dependence
from capacity.peaks.intraday.outlook import Outlook
from capacity.peaks.intraday.shape import Floats, Ints
from capacity.peaks.intraday.uncertainty import score_under, student_shape, tabulate_ladder, value_at_score

N_PATHS = 200
_MOSTLY = 0.9  # of a day known: what is missing is then unlikely to have held its peak
_SEED = 11  # of the paths that maxima are read from: one set for all origins, so that days differ by themselves alone


@dataclass(frozen=True)
class DailyRolling:
    """Daily peaks as forecast at the start of every day, on the even scale.

    Attributes
    ----------
    centre, scale : ndarray, shape (lead, series, day)
        Median and scale of the peak of each day, forecast `lead` days before its start.
    slot : ndarray of int, shape (lead, series, day)
        Slot that was likeliest the busiest, -1 without a forecast.
    actual : ndarray, shape (series, day)
        NaN where less than nine tenths of the day are known.
    actual_slot : ndarray of int, shape (series, day)
    tables : ndarray, shape (lead, day + 1, score)
        Quantiles of (actual − centre) ÷ scale as of each day.
    dependence : Dependence
        As of the end.
    """

    centre: Floats
    scale: Floats
    slot: Ints
    actual: Floats
    actual_slot: Ints
    tables: Floats
    dependence: Dependence


def roll_days(outlook: Outlook, values: Floats, *, leads: int) -> DailyRolling:
    """Forecast the peaks of days from the start of every day since rules are learnt.

    Parameters
    ----------
    outlook : Outlook
    values : ndarray, shape (series, day, slot)
        On the even scale.
    leads : int
        Days, the one that starts included.
    """
    n_series, n_days, n_slots = values.shape
    horizon = np.arange(leads * n_slots)
    flat = values.reshape(n_series, -1)
    centre, scale = (np.full((leads, n_series, n_days), np.nan) for _ in range(2))
    slot = np.full((leads, n_series, n_days), -1, dtype=np.int64)
    scores: list[tuple[int, Floats]] = []
    for era, (first, stop) in enumerate(outlook.spans):
        paths = _paths(_known_by(first, scores, n_slots), n_slots, horizon.size)
        for day in range(first, stop):
            quantiles = outlook.path(era, day * n_slots, horizon)
            middle, size, busiest = peaks_of_days(value_at_score(quantiles, paths), n_slots)
            last = min(leads, n_days - day)
            rows = np.arange(last)
            centre[rows, :, day + rows] = middle[:last]
            scale[rows, :, day + rows] = size[:last]
            slot[rows, :, day + rows] = busiest[:last]
            came = np.full((n_series, horizon.size), np.nan)
            part = flat[:, day * n_slots : day * n_slots + horizon.size]
            came[:, : part.shape[1]] = part
            scores.append((day, np.where(np.isfinite(came), score_under(quantiles, came), np.nan)))
    known = np.isfinite(values)
    enough = known.mean(2) >= _MOSTLY
    filled = np.where(known, values, -np.inf)
    actual = np.where(enough, filled.max(2), np.nan)
    tables = tabulate_ladder((actual - centre) / scale, np.arange(leads), 1, first=student_shape())
    dependence = learn_dependence(_known_by(n_days, scores, n_slots), n_slots)
    return DailyRolling(centre, scale, slot, actual, filled.argmax(2), tables, dependence)


def _known_by(day: int, scores: list[tuple[int, Floats]], n_slots: int) -> Floats:
    """Scores (path, horizon) of the paths so far, without what came on or after a day."""
    paths = [np.where(np.arange(s.shape[1]) < (day - origin) * n_slots, s, np.nan) for origin, s in scores]
    return np.concatenate(paths) if paths else np.zeros((0, 1))


def _paths(known: Floats, n_slots: int, horizon: int) -> Floats:
    """Paths (path, 1, horizon) that all series share: only each one's own maxima are wanted."""
    rng = np.random.default_rng(_SEED)
    return learn_dependence(known, n_slots).draw(rng, n_samples=N_PATHS, n_series=1, horizon=horizon)


def peaks_of_days(futures: Floats, n_slots: int) -> tuple[Floats, Floats, Ints]:
    """Median, scale and likeliest slot of days' maxima, each (day, series), of futures (sample, series, horizon)."""
    n_samples, n_series, _ = futures.shape
    days = futures.reshape(n_samples, n_series, -1, n_slots)
    top = days.max(3)
    low, middle, high = np.quantile(top, [0.1, 0.5, 0.9], axis=0)
    at = days.argmax(3)
    votes = np.stack([np.apply_along_axis(np.bincount, 0, at[:, s], minlength=n_slots) for s in range(n_series)])
    return middle.T, np.maximum((high - low).T / 2.0 / 1.2816, 1e-6), votes.argmax(1).T


def daily_quantiles(centre: Floats, scale: Floats, table: Floats) -> Floats:
    """Quantiles at `SCORES` (…, score)."""
    return np.asarray(centre[..., None] + scale[..., None] * table)
