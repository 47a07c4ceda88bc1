"""Intraday forecasts on real traffic: daily peaks a week ahead, and each hour's peak second, from every rolling origin.

How it is scored:

- **Daily peak**: at every midnight after the first week, the busiest hour (or half hour) of each of the next seven days
  is forecast from what precedes. Error: the absolute error of the peak's value, summed over all origins and days, over
  the sum of the values (WAPE), and its mean. Hit: the share of days whose peak lay in the hour that was named. Only
  days that every method forecast are counted; days with less than nine tenths of their intervals are not.
- **Peak second**: at the start of every hour after the first week, the largest one-second count of that hour.
- Peers: the week before; MSTL on logarithms of the last eight weeks (daily and, from three weeks on, weekly season)
  with exponential smoothing of what is left; for the peak second the day before, the week before and the quantiles of
  the same hour so far.
"""

import tarfile
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from capacity import backtest_intraday

Floats = NDArray[np.float64]
_LEADS = 7
_MSTL_DAYS = 56  # its loess windows see no farther, and a fit takes seconds as it is
_QUANTILES = (0.05, 0.5, 0.95, 0.99)
_DAILY_HEAD = (
    "| demand | days ahead (forecasts) | method | WAPE of the peak | mean error | hour hit | ≤ q99 | inside 90 % "
    "| q95 ÷ q05 |"
)
_SECOND_HEAD = (
    "| peak second of the hour | hours | median error of q50 | within 8 % | WAPE | inside 90 % | q95 ÷ q05 | ≤ q99 "
    "| pinball at 0.99 |"
)


def read_counts(path: Path, *, rule: str, series: str) -> pd.DataFrame:
    """Read (timestamp, value) as a history of intervals; a sum with missing parts is scaled up from half on."""
    frame = pd.read_csv(path, parse_dates=["timestamp"]).set_index("timestamp")["value"]
    step = frame.index.to_series().diff().median()
    full = round(pd.Timedelta(rule) / step)
    group = frame.groupby(frame.index.floor(rule))
    value = (group.mean() * full).where(group.count() >= full / 2).dropna()
    return pd.DataFrame({"ts": value.index, "series": series, "value": value.to_numpy()})


def read_seconds(path: Path, *, width_s: int) -> pd.DataFrame:
    """Read the trace of one number a second as intervals with their peak second; whole intervals only."""
    with tarfile.open(path) as archive:
        member = archive.extractfile(archive.getmembers()[0])
        assert member is not None
        counts = np.array(member.read().split(), dtype=float)
    rows = counts[: counts.size // 3600 * 3600].reshape(-1, width_s)
    ts = pd.date_range("2024-01-01", periods=len(rows), freq=f"{width_s}s")  # any Monday: the trace has no dates
    return pd.DataFrame({"ts": ts, "series": "trace", "value": rows.sum(1), "peak": rows.max(1)})


def _table(history: pd.DataFrame) -> tuple[Floats, pd.Timestamp]:
    """(day, slot) counts, NaN unknown."""
    series = history.set_index("ts")["value"]
    step = series.index.to_series().diff().median()
    first, last = series.index[0].normalize(), series.index[-1].normalize() + pd.Timedelta(days=1)
    full = series.reindex(pd.date_range(first, last, freq=step, inclusive="left"))
    return full.to_numpy(dtype=float).reshape(-1, round(pd.Timedelta(days=1) / step)), first


def mstl_days(table: Floats, origin: int) -> Floats:
    """(lead, slot) forecast of MSTL and simple exponential smoothing as of the start of a day."""
    from statsmodels.tsa.holtwinters import SimpleExpSmoothing
    from statsmodels.tsa.seasonal import MSTL

    n_slots = table.shape[1]
    past = pd.Series(np.log(table[max(origin - _MSTL_DAYS, 0) : origin].ravel() + 0.5)).interpolate(
        limit_direction="both"
    )
    periods = (n_slots, 7 * n_slots) if origin >= 21 else (n_slots,)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        parts = MSTL(past, periods=periods).fit()
        left = past - np.asarray(parts.seasonal).reshape(len(past), -1).sum(1)
        level = float(SimpleExpSmoothing(left.to_numpy(), initialization_method="estimated").fit().forecast(1)[0])
    seasonal = np.asarray(parts.seasonal).reshape(len(past), -1)
    ahead = np.zeros(_LEADS * n_slots)
    for period, column in zip(periods, seasonal.T, strict=True):
        ahead += column[-period:][np.arange(ahead.size) % period]
    return np.maximum(np.exp(level + ahead) - 0.5, 0.0).reshape(_LEADS, n_slots)


def daily_peaks(history: pd.DataFrame, *, holidays: str | None) -> pd.DataFrame:
    """One row a day and lead: value and slot, as they were and as each method said."""
    tested = backtest_intraday(history, quantiles=_QUANTILES, leads=_LEADS, holidays=holidays).daily
    table, first = _table(history)
    tested["day"] = (tested["date"] - first).dt.days
    tested["origin"] = tested["day"] - tested["lead_days"]
    known = np.isfinite(table)
    whole = known.mean(1) >= 0.9
    top = np.where(known, table, -np.inf)
    week = tested["day"].to_numpy() - 7
    tested["week"] = np.where(whole[week], top.max(1)[week], np.nan)
    tested["week_slot"] = top.argmax(1)[week]
    curves = {origin: mstl_days(table, origin) for origin in sorted(set(tested["origin"]))}
    said = [curves[origin][lead] for origin, lead in zip(tested["origin"], tested["lead_days"], strict=True)]
    tested["mstl"], tested["mstl_slot"] = [c.max() for c in said], [int(c.argmax()) for c in said]
    return tested.dropna(subset=["week", "mstl"])


def daily_lines(name: str, days: pd.DataFrame) -> list[str]:
    """Markdown rows of one history: all leads, the seventh day alone, and both from four weeks of history on."""
    lines = []
    seventh, later = days["lead_days"] == _LEADS - 1, days["origin"] >= 28
    parts = {"1–7": days, "7": days[seventh], "1–7, from week 5": days[later], "7, from week 5": days[seventh & later]}
    for label, part in parts.items():
        if part.empty:
            continue
        value = part["value"].to_numpy()
        for method, said, slot in (
            ("**capacity**", part[0.5], part["expected_slot"]),
            ("week before", part["week"], part["week_slot"]),
            ("MSTL", part["mstl"], part["mstl_slot"]),
        ):
            error = np.abs(said.to_numpy() - value)
            hit = (slot == part["at_slot"]).mean()
            inside = ["", "", ""]
            if method.startswith("**"):
                both = (value >= part[0.05].to_numpy()) & (value <= part[0.95].to_numpy())
                wide = np.median(part[0.95].to_numpy() / part[0.05].to_numpy())
                inside = [f"{100 * (value <= part[0.99].to_numpy()).mean():.1f} %", f"{100 * both.mean():.1f} %"]
                inside.append(f"{wide:.2f}")
            lines.append(
                f"| {name} | {label} ({len(part)}) | {method} | {100 * error.sum() / value.sum():.2f} % | "
                f"{error.mean():.0f} | {100 * hit:.0f} % | {' | '.join(inside)} |"
            )
    return lines


def _pinball(value: Floats, said: Floats, probability: float) -> float:
    gap = value - said
    return float(np.maximum(probability * gap, (probability - 1) * gap).mean())


def _second_line(method: str, value: Floats, said: dict[float, Floats]) -> str:
    error = np.abs(said[0.5] / value - 1.0)
    line = f"| {method} | {value.size} | {100 * np.median(error):.1f} % | {100 * (error <= 0.08).mean():.0f} % | "
    line += f"{100 * np.abs(said[0.5] - value).sum() / value.sum():.1f} % | "
    if len(said) == 1:
        return line + " | | | |"
    inside = (value >= said[0.05]) & (value <= said[0.95])
    return line + (
        f"{100 * inside.mean():.1f} % | {np.median(said[0.95] / said[0.05]):.2f} | "
        f"{100 * (value <= said[0.99]).mean():.1f} % | {100 * _pinball(value, said[0.99], 0.99) / value.mean():.2f} % |"
    )


def second_lines(trace: Path) -> list[str]:
    """Markdown rows of the peak second of every hour after the first week."""
    history = read_seconds(trace, width_s=3600)
    tested = backtest_intraday(history, quantiles=_QUANTILES, leads=1).next
    value = tested["peak"].to_numpy()
    lines = [_second_line("**capacity**, at the hour's start", value, _said(tested))]
    halves = backtest_intraday(read_seconds(trace, width_s=1800), quantiles=_QUANTILES, leads=1).next
    seen, rest = halves["peak"].to_numpy()[0::2], halves.iloc[1::2]
    later = {q: np.maximum(said, seen) for q, said in _said(rest).items()}
    lines.append(_second_line("**capacity**, half an hour into it", value, later))
    peak = history["peak"].to_numpy()
    first = 7 * 24
    lines.append(_second_line("day before", value, {0.5: peak[first - 24 : -24]}))
    lines.append(_second_line("week before", value, {0.5: peak[:-first]}))
    same = [peak[t % 24 : t : 24] for t in range(first, len(peak))]
    lines.append(
        _second_line("same hour so far", value, {q: np.array([np.quantile(s, q) for s in same]) for q in _QUANTILES})
    )
    return lines


def _said(frame: pd.DataFrame) -> dict[float, Floats]:
    return {q: frame[f"peak_{q:g}"].to_numpy(dtype=float) for q in _QUANTILES}


def run(real_data: Path) -> str:
    """Run on the folder of real data; return Markdown tables."""
    rates = real_data / "rates"
    lines = [_DAILY_HEAD, "|" + "---|" * 9]
    cases = (
        ("taxi, hours", "nyc_taxi.csv", "1h", "US"),
        ("taxi, half hours", "nyc_taxi.csv", "30min", "US"),
        ("load balancer, hours", "elb_request_count_8c0756.csv", "1h", None),
    )
    for name, file, rule, holidays in cases:
        history = read_counts(rates / file, rule=rule, series=name)
        lines += daily_lines(name, daily_peaks(history, holidays=holidays))
    lines += ["", _SECOND_HEAD, "|" + "---|" * 9]
    return "\n".join([*lines, *second_lines(rates / "twitter_trace.tbz2")])
