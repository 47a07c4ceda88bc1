"""What the traffic of a promotion really was: its busiest seconds and minutes, and what of it is not known."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from capacity.errors import NotCoveredError
from capacity.promotion import Phase, Promotion

if TYPE_CHECKING:
    from capacity.history import Traffic

Floats = NDArray[np.float64]

MINUTE_S = 60.0
COVERED = 0.98  # below this share of what was expected, a day or phase has lost logs
CERTAINLY_LOST = 10.0  # requests expected in a silence before it is called lost logs: by chance 1 in 22,000
HOUR_PEAK = 2.3  # busiest minute ÷ mean of its hour, as large as a public trace shows
_SUMS = ("requests", "errors", "rejected", "test_requests")
_MEASURES = (*_SUMS, "peak_qps", "p95_ms", "p99_ms", "cpu_fraction", "instances")


@dataclass(frozen=True)
class Observed:
    """The traffic around a promotion on minutes, or coarser where only coarser is known.

    Attributes
    ----------
    rows
        One row a service and interval: ``ts, service, interval_s``, the measures of the ``traffic`` table as floats,
        NaN where unknown, and ``phase`` (position), ``rate_qps`` (mean of the interval), ``second_qps`` (its busiest
        second).
    services, phases
        What the positions mean.
    covered
        Share of the expected requests that was logged, shape ``(phase, service)``.
    daily
        ``date, service, requests, rejected, covered_fraction`` of the local days touched.
    timezone
        Of the times.
    notes
        What a reader must know about these numbers.
    """

    rows: pd.DataFrame
    services: tuple[str, ...]
    phases: tuple[Phase, ...]
    covered: Floats
    daily: pd.DataFrame
    timezone: str
    notes: tuple[str, ...] = field(default=())

    @property
    def seconds_known(self) -> bool:
        """Whether any busiest second is known."""
        return bool(self.rows["second_qps"].notna().any())

    def minute_matrix(self, column: str, services: Sequence[str]) -> tuple[NDArray[np.int64], Floats]:
        """Return a column on minutes: moments in s since 1970, and values of shape ``(moment, service)``.

        NaN where a service has no row. Rows of more than a minute are left out.
        """
        fine = self.rows[(self.rows["interval_s"] <= MINUTE_S) & self.rows["service"].isin(services)]
        table = _table(fine, "ts", column, services)
        moments = pd.DatetimeIndex(table.index).as_unit("s").asi8
        return np.asarray(moments, dtype=np.int64), table.to_numpy(dtype=float)


def observe(traffic: "Traffic", promotion: Promotion) -> Observed:
    """Read what a promotion's traffic was.

    Raises
    ------
    NotCoveredError
        If nothing is known of the promotion's own time.
    """
    phases = tuple(promotion.phases)
    first, last = min(phase.starts_at for phase in phases), max(phase.ends_at for phase in phases)
    rows = _on_minutes(traffic.window(first, last))
    own = (rows["ts"] >= promotion.starts_at) & (rows["ts"] < promotion.ends_at)
    if not own.any():
        known = f"the table's last row is of {traffic.last_at}" if not traffic.is_empty else "the table is empty"
        raise NotCoveredError(
            f"traffic of {promotion.id} ({promotion.starts_at} to {promotion.ends_at}) is not there: {known}",
            remedy="ingest the traffic of these days, or review with a later as_of",
        )
    rows["phase"] = _phase_of(rows["ts"], phases)
    rows = rows[rows["phase"] >= 0].reset_index(drop=True)
    services = tuple(sorted(rows["service"].unique()))
    daily = _days(traffic, first, last)
    covered = _coverage(rows, services, phases, traffic, first)
    return Observed(rows, services, phases, covered, daily, traffic.timezone, _notes(rows, covered, services, phases))


def busiest(observed: Observed) -> pd.DataFrame:
    """Return the peaks, one row a phase and service.

    Returns
    -------
    DataFrame
        ``phase, service, actual_peak_qps, peak_at, resolution`` (``second``, ``minute`` or ``interval``) and
        ``interval_s``, ``minute_qps``, ``rejected``, ``rejected_fraction``. The peak is of the finest
        resolution at which the busiest interval is known.
    """
    rows = observed.rows
    keys = ["phase", "service"]
    minute = rows.loc[rows.groupby(keys)["rate_qps"].idxmax()].set_index(keys)
    out = minute[["rate_qps", "ts", "interval_s"]].rename(columns={"rate_qps": "minute_qps", "ts": "peak_at"})
    out["actual_peak_qps"] = out["minute_qps"]
    out["resolution"] = np.where(out["interval_s"] <= MINUTE_S, "minute", "interval")
    with_seconds = rows[rows["second_qps"].notna()]
    second = with_seconds.loc[with_seconds.groupby(keys)["second_qps"].idxmax()].set_index(keys)
    second = second.reindex(out.index)
    # The busiest interval's seconds must be known, else the busiest known second may be of another one.
    known = minute["second_qps"].notna() & second["second_qps"].notna()
    out.loc[known, "actual_peak_qps"] = second.loc[known, "second_qps"]
    out.loc[known, "peak_at"] = second.loc[known, "ts"]
    out.loc[known, "interval_s"] = second.loc[known, "interval_s"]
    out.loc[known, "resolution"] = "second"
    coarse = rows[rows["interval_s"] > MINUTE_S].groupby(keys)["rate_qps"].max().reindex(out.index)
    hidden = (out["resolution"] != "interval") & (coarse * HOUR_PEAK > out["minute_qps"])
    out.loc[hidden, "resolution"] = "interval"
    totals = rows.groupby(keys)[["requests", "rejected"]].sum(min_count=1)
    out["rejected"] = totals["rejected"]
    out["rejected_fraction"] = totals["rejected"] / totals["requests"].where(totals["requests"] > 0)
    return out.reset_index()


def _on_minutes(window: pd.DataFrame) -> pd.DataFrame:
    """Copy the rows with floats for measures, finer ones rolled up to minutes."""
    frame = pd.DataFrame({"ts": window["ts"], "service": window["service"].astype("str")})
    frame["interval_s"] = window["interval_s"].to_numpy(dtype=float)
    for column in _MEASURES:
        values = window[column] if column in window else pd.Series(np.nan, index=window.index)
        frame[column] = pd.to_numeric(values).to_numpy(dtype=float, na_value=np.nan)
    tests = frame["test_requests"].fillna(0.0) / frame["interval_s"]
    rate = frame["requests"] / frame["interval_s"]
    # A second's count holds the tests too; what is left after their mean rate is the best that can be said.
    cleaned = np.maximum(frame["peak_qps"] - tests, rate)
    frame["second_qps"] = np.where(frame["interval_s"] <= 1.0, rate, cleaned)
    fine = frame["interval_s"] < MINUTE_S
    if fine.any():
        frame = pd.concat([_roll_up(frame[fine]), frame[~fine]], ignore_index=True)
    frame["rate_qps"] = frame["requests"] / frame["interval_s"]
    return frame.sort_values(["ts", "service"], kind="stable").reset_index(drop=True)


def _roll_up(fine: pd.DataFrame) -> pd.DataFrame:
    by_minute = fine.assign(ts=fine["ts"].dt.floor("min")).groupby(["ts", "service"], sort=False)
    out = by_minute[list(_SUMS)].sum(min_count=1)
    for column in ("second_qps", "peak_qps", "p95_ms", "p99_ms", "instances"):
        out[column] = by_minute[column].max()
    out["cpu_fraction"] = by_minute["cpu_fraction"].mean()
    out["interval_s"] = MINUTE_S
    return out.reset_index()


def _phase_of(moments: "pd.Series[pd.Timestamp]", phases: Sequence[Phase]) -> NDArray[np.int64]:
    position = np.full(len(moments), -1)
    for number, phase in enumerate(phases):
        position[((moments >= pd.Timestamp(phase.starts_at)) & (moments < pd.Timestamp(phase.ends_at))).to_numpy()] = (
            number
        )
    return position


def _days(traffic: "Traffic", first: datetime, last: datetime) -> pd.DataFrame:
    daily = traffic.daily()
    day = pd.to_datetime(daily["date"]).dt.tz_localize(None)
    keep = (day >= pd.Timestamp(first.date())) & (day <= pd.Timestamp(last.date()))
    out = pd.DataFrame({"date": day[keep].dt.date, "service": daily.loc[keep, "service"].astype("str")})
    for column in ("requests", "rejected", "covered_fraction"):
        values = daily[column] if column in daily else pd.Series(np.nan, index=daily.index)
        out[column] = pd.to_numeric(values[keep]).to_numpy(dtype=float, na_value=np.nan)
    return out.reset_index(drop=True)


def _coverage(
    rows: pd.DataFrame, services: Sequence[str], phases: Sequence[Phase], traffic: "Traffic", first: datetime
) -> Floats:
    """Share of each phase's expected requests that does not fall into a silence too long to be chance."""
    begin = pd.Timestamp(first).floor("min")
    end = max(pd.Timestamp(phase.ends_at) for phase in phases)
    moments = pd.date_range(begin, end, freq="min", inclusive="left")
    expected = _typical_share(traffic, services, moments, first.date())
    place = {service: number for number, service in enumerate(services)}
    start = ((rows["ts"] - begin) // pd.Timedelta(minutes=1)).to_numpy(dtype=int)
    length = np.ceil(rows["interval_s"].to_numpy() / MINUTE_S).astype(int)
    column = rows["service"].map(place).to_numpy(dtype=int)
    edges = np.zeros((len(moments) + 1, len(services)))
    np.add.at(edges, (start, column), 1.0)
    np.add.at(edges, (np.minimum(start + length, len(moments)), column), -1.0)
    present = np.cumsum(edges[:-1], axis=0) > 0
    requests = rows.groupby("service")["requests"].sum().reindex(list(services)).to_numpy(dtype=float)
    # Over all minutes, silent ones too: where much is lost the level is too low and silences are excused, not invented.
    level = requests / expected.sum(axis=0)
    lost = _silences(present, expected * level)
    spans = [(pd.Timestamp(phase.starts_at), pd.Timestamp(phase.ends_at)) for phase in phases]
    inside = np.stack([(moments >= begin) & (moments < stop) for begin, stop in spans]).astype(float)
    whole = inside @ expected
    missing = np.divide(inside @ np.where(lost, expected, 0.0), whole, out=np.zeros_like(whole), where=whole > 0)
    return np.asarray(1.0 - missing)


def _silences(present: NDArray[np.bool_], expected: Floats) -> NDArray[np.bool_]:
    """Mark the minutes of silences in which more requests were expected than chance can hide."""
    heard = np.cumsum(np.where(present, 0.0, expected), axis=0)
    before = np.maximum.accumulate(np.where(present, heard, 0.0), axis=0)
    within = heard - before  # expected since the last row, this minute included
    ends = ~present & np.vstack([present[1:], np.ones((1, present.shape[1]), dtype=bool)])
    last = len(present) - 1
    position = np.where(ends, np.arange(len(present))[:, None], last)
    end_of_run = np.minimum.accumulate(position[::-1], axis=0)[::-1]
    return ~present & (np.take_along_axis(within, end_of_run, axis=0) > CERTAINLY_LOST)


def _table(frame: pd.DataFrame, index: str, column: str, services: Sequence[str]) -> pd.DataFrame:
    wide = frame.set_index([index, "service"])[column].unstack("service")  # noqa: PD010 - nothing to aggregate
    return wide.reindex(columns=list(services))


def _typical_share(traffic: "Traffic", services: Sequence[str], moments: pd.DatetimeIndex, before: date) -> Floats:
    typical = traffic.typical_day(list(services), before=before)
    table = _table(typical, "minute_of_day", "share", services)
    minute = np.asarray(moments.hour * 60 + moments.minute)
    if table.empty:
        return np.full((len(moments), len(services)), 1.0 / 1440.0)
    marks = table.index.to_numpy(dtype=int)
    position = np.maximum(np.searchsorted(marks, minute, side="right") - 1, 0)
    width = np.diff(np.append(marks, 1440)).astype(float)
    share = table.to_numpy(dtype=float) / width[:, None]
    share = np.where(np.isfinite(share).any(axis=0), np.nan_to_num(share), 1.0 / 1440.0)
    return np.asarray(share[position])


def _notes(rows: pd.DataFrame, covered: Floats, services: Sequence[str], phases: Sequence[Phase]) -> tuple[str, ...]:
    notes = []
    if rows["second_qps"].isna().all():
        notes.append(
            "The traffic has no peak_qps: how many requests the busiest second held cannot be known; "
            "peak minutes are judged instead, against the forecast's peak minutes."
        )
    tested = rows.loc[rows["test_requests"] > 0, "service"].unique()
    if len(tested):
        notes.append(
            f"Load tests ran during the promotion ({', '.join(sorted(tested))}): their mean rate is taken off "
            "the peak seconds, which is right only if they were steady."
        )
    gaps = [
        f"{services[s]} in {phases[p].name} ({covered[p, s]:.0%} there)" for p, s in np.argwhere(covered < COVERED)[:5]
    ]
    if gaps:
        more = (covered < COVERED).sum() - len(gaps)
        notes.append(
            f"Logs are missing: {', '.join(gaps)}{f' and {more} more' if more > 0 else ''}. "
            "What is there is a floor of what was; it is not judged as small."
        )
    return tuple(notes)
