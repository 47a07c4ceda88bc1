"""Why a peak missed its forecast, as factors that multiply to the whole miss.

The worst second of an entry service is built up in levels, each the one before times a factor::

    DAU → × DAT per DAU = DAT → × requests per DAT = requests of the day
        → × peak share ÷ 60 = rate of the busiest minute → × burst = rate of the busiest second

On the log scale forecast and actual differ by a sum of one term a factor. A level nobody knows merges the
factors on its two sides into one term; nothing is guessed and the sum stays exact.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

FACTORS = ("dau", "dat_per_dau", "requests_per_dat", "peak_share", "burst")
LEVELS = ("DAU", "DAT", "requests of the day", "busiest minute", "busiest second")


def forecast_levels(factors: Floats) -> tuple[Floats, Floats]:
    """Return the centre and the spread of every level of the forecast.

    Parameters
    ----------
    factors
        Joint samples, shape ``(sample, entry, 5)`` in the order of ``FACTORS``.

    Returns
    -------
    centre
        Mean log of each level, shape ``(entry, 5)``: logs of the geometric mean, which, unlike medians,
        multiply. The minute's and the second's levels are requests/s.
    spread
        Standard deviation of the log of each *factor*, shape ``(entry, 5)``.

    Examples
    --------
    >>> samples = np.array([[[100.0, 0.5, 4.0, 0.06, 2.0]]])
    >>> np.exp(forecast_levels(samples)[0]).round(2)
    array([[100. ,  50. , 200. ,   0.2,   0.4]])
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(np.asarray(factors, dtype=float))
    usable = np.isfinite(logs).all(axis=2)
    logs = np.where(usable[:, :, None], logs, np.nan)
    centre = np.full(logs.shape[1:], np.nan)
    spread = np.full(logs.shape[1:], np.nan)
    has = usable.any(axis=0)
    centre[has] = np.nanmean(logs[:, has], axis=0)
    spread[has] = np.nanstd(logs[:, has], axis=0)
    levels = np.cumsum(centre, axis=1)
    levels[:, 3:] -= np.log(60.0)
    return levels, spread


def split_miss(actual: Floats, forecast: Floats) -> Floats:
    """Split ``actual − forecast`` of the last known level into one term a factor.

    Parameters
    ----------
    actual, forecast
        Logs of the levels, shape ``(entry, 5)``; NaN where unknown.

    Returns
    -------
    ndarray
        Shape ``(entry, 5)``. A row's known terms add up to the difference of its last known level. NaN at an
        unknown level: its factor is part of the next known term, or beyond what can be judged.

    Examples
    --------
    >>> actual, forecast = np.log([[110.0, 50.0, 200.0, 0.2, 0.5]]), np.log([[100.0, 50.0, 200.0, 0.2, 0.4]])
    >>> np.exp(split_miss(actual, forecast)).round(3)
    array([[1.1  , 0.909, 1.   , 1.   , 1.25 ]])
    >>> actual[0, 1] = np.nan
    >>> np.exp(split_miss(actual, forecast)).round(3)
    array([[1.1  ,   nan, 0.909, 1.   , 1.25 ]])
    """
    difference = np.asarray(actual, dtype=float) - np.asarray(forecast, dtype=float)
    known = np.isfinite(difference)
    padded = np.hstack([np.zeros((len(difference), 1)), np.where(known, difference, 0.0)])
    columns = np.arange(1, difference.shape[1] + 1)
    last_known = np.maximum.accumulate(np.where(known, columns, 0), axis=1)
    before = np.hstack([np.zeros((len(difference), 1), dtype=int), last_known[:, :-1]])
    previous = np.take_along_axis(padded, before, axis=1)
    return np.where(known, difference - previous, np.nan)


def log_mean(first: Floats, second: Floats) -> Floats:
    """Return the logarithmic mean ``(a − b) / ln(a / b)``, a where both are equal.

    Examples
    --------
    >>> log_mean(np.array([2.0, 3.0]), np.array([2.0, 1.0])).round(4)
    array([2.    , 1.8205])
    """
    ratio = np.log(first) - np.log(second)
    near = np.abs(ratio) < 1e-6
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = (first - second) / ratio
    return np.where(near, np.sqrt(first * second), mean)


def combine_entries(actual: Floats, forecast: Floats) -> tuple[Floats, Floats, Floats]:
    """Combine the entries' levels into one for the sum of their own peaks.

    Parameters
    ----------
    actual, forecast
        Logs of the levels, shape ``(entry, 5)``; NaN where unknown. A level counts when all entries know it.

    Returns
    -------
    terms
        Shape ``(5,)``, as :func:`split_miss`; the known ones add up to ``ln(Σ actual / Σ forecast)`` of the last level
        that all entries know.
    total_actual, total_forecast
        The sums of that level, requests/s.

    Notes
    -----
    Entries share DAU and DAT but not their worst second, so that sums of factors do not exist. The log-mean Divisia
    index weighs each entry's terms by the logarithmic mean of its actual and forecast and leaves no residual.

    References
    ----------
    B. W. Ang (2005), The LMDI approach to decomposition analysis: a practical guide, Energy Policy 33, 867-871.

    Examples
    --------
    >>> forecast = np.log([[1e3, 1e2, 1e4, 10.0, 20.0], [1e3, 1e2, 2e4, 30.0, 50.0]])
    >>> actual = forecast + np.array([[0.1, 0.1, 0.1, 0.3, 0.3], [0.1, 0.1, 0.2, 0.2, 0.1]])
    >>> terms, total_actual, total_forecast = combine_entries(actual, forecast)
    >>> bool(np.isclose(terms.sum(), np.log(total_actual / total_forecast)))
    True
    """
    known = np.isfinite(actual - forecast).all(axis=0) if len(actual) else np.zeros(len(FACTORS), dtype=bool)
    if not known.any():
        return np.full(len(FACTORS), np.nan), np.array(np.nan), np.array(np.nan)
    last = int(np.flatnonzero(known)[-1])
    shared_actual, shared_forecast = (np.where(known, levels, np.nan) for levels in (actual, forecast))
    terms = split_miss(shared_actual, shared_forecast)
    if last < LEVELS.index("requests of the day"):  # people are the same for all entries: nothing to add up
        return terms[0], np.exp(actual[0, last]), np.exp(forecast[0, last])
    tops = np.exp(actual[:, last]), np.exp(forecast[:, last])
    weights = log_mean(*tops) / log_mean(tops[0].sum(), tops[1].sum())
    return np.asarray(weights @ terms), tops[0].sum(), tops[1].sum()


def merged_names(known: Mask) -> tuple[str, ...]:
    """Name each known term by the factors it holds.

    Examples
    --------
    >>> merged_names(np.array([True, False, True, True, False]))
    ('dau', '', 'dat_per_dau × requests_per_dat', 'peak_share', '')
    """
    names, waiting = [], list[str]()
    for factor, is_known in zip(FACTORS, known, strict=True):
        waiting.append(factor)
        names.append(" × ".join(waiting) if is_known else "")
        if is_known:
            waiting = []
    return tuple(names)
