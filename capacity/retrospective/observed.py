"""What the traffic of a promotion really was: its busiest seconds and minutes, and what of it is not known."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from capacity.errors import NotCoveredError
from capacity.promotion import Phase, Promotion
from capacity.retrospective.coverage import Coverage, measure_coverage, whole_days

if TYPE_CHECKING:
    from capacity.history import Traffic

Floats = NDArray[np.float64]

MINUTE_S = 60.0
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
    covered, hides_peak
        Share of the expected requests that was logged, and whether what was lost may hold the phase's largest peak;
        shape ``(phase, service)``.
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
    hides_peak: NDArray[np.bool_]
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
        wide = fine.set_index(["ts", "service"])[column].unstack("service")  # noqa: PD010 - nothing to aggregate
        table = wide.reindex(columns=list(services))
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
    begin, end = whole_days(phases, traffic.timezone)
    rows = _on_minutes(traffic.window(begin.to_pydatetime(), end.to_pydatetime()))
    own = (rows["ts"] >= promotion.starts_at) & (rows["ts"] < promotion.ends_at)
    if not own.any():
        known = f"the table's last row is of {traffic.last_at}" if not traffic.is_empty else "the table is empty"
        raise NotCoveredError(
            f"traffic of {promotion.id} ({promotion.starts_at} to {promotion.ends_at}) is not there: {known}",
            remedy="ingest the traffic of these days, or review with a later as_of",
        )
    rows["phase"] = _phase_of(rows["ts"], phases)
    services = tuple(sorted(rows.loc[rows["phase"] >= 0, "service"].unique()))
    rows = rows[rows["service"].isin(services)]
    coverage = measure_coverage(rows, services, phases, promotion.starts_at, traffic)
    daily = _days(traffic, services, coverage)
    rows = rows[rows["phase"] >= 0].reset_index(drop=True)
    notes = _notes(rows, coverage, services, phases)
    return Observed(rows, services, phases, coverage.phases, coverage.hides_peak, daily, traffic.timezone, notes)


def busiest(observed: Observed) -> pd.DataFrame:
    """Return the peaks, one row a phase and service.

    Returns
    -------
    DataFrame
        ``phase, service, actual_peak_qps, peak_at, resolution`` (``second``, ``minute`` or ``interval``) and
        ``interval_s``, ``minute_qps``, ``rejected``, ``rejected_fraction``, ``worst_rejected_fraction`` (of one
        interval). The peak is of the finest resolution at which the busiest interval is known. A phase in which a
        service wrote no row has none known where logs are missing, and a peak of zero where they are not.
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
    blind = rows[(rows["interval_s"] > MINUTE_S) & rows["second_qps"].isna()]
    coarse = blind.groupby(keys)["rate_qps"].max().reindex(out.index)
    hidden = (out["resolution"] != "interval") & (coarse * HOUR_PEAK > out["minute_qps"])
    out.loc[hidden, "resolution"] = "interval"
    totals = rows.groupby(keys)[["requests", "rejected"]].sum(min_count=1)
    out["rejected"] = totals["rejected"]
    out["rejected_fraction"] = totals["rejected"] / totals["requests"].where(totals["requests"] > 0)
    share = (rows["rejected"] / rows["requests"].where(rows["requests"] > 0)).rename("share")
    worst = pd.concat([rows[keys], share], axis=1).groupby(keys)["share"].max()
    out["worst_rejected_fraction"] = worst
    return _with_silent_phases(out, observed)


def _with_silent_phases(peaks: pd.DataFrame, observed: Observed) -> pd.DataFrame:
    every = pd.MultiIndex.from_product([range(len(observed.phases)), observed.services], names=["phase", "service"])
    silent = ~every.isin(peaks.index)
    out = peaks.reindex(every)
    heard = ~observed.hides_peak.ravel()
    out.loc[silent & heard, ["actual_peak_qps", "minute_qps"]] = 0.0
    out["resolution"] = out["resolution"].fillna("second" if observed.seconds_known else "minute")
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


def _days(traffic: "Traffic", services: Sequence[str], coverage: Coverage) -> pd.DataFrame:
    daily = traffic.daily()
    day = pd.to_datetime(daily["date"]).dt.tz_localize(None)
    known = pd.DataFrame({"date": day.dt.date, "service": daily["service"].astype("str")})
    for column in ("requests", "rejected"):
        known[column] = pd.to_numeric(daily[column]).to_numpy(dtype=float, na_value=np.nan)
    n_days, n_services = coverage.by_day.shape
    covered = pd.DataFrame(
        {
            "date": np.repeat(np.array(coverage.days, dtype=object), n_services),
            "service": pd.Series(list(services) * n_days, dtype="str"),
            "covered_fraction": coverage.by_day.ravel(),
        }
    )
    return known.merge(covered, on=["date", "service"], how="inner")


def _notes(rows: pd.DataFrame, coverage: Coverage, services: Sequence[str], phases: Sequence[Phase]) -> tuple[str, ...]:
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
    uncertain = np.argwhere(coverage.hides_peak)
    gaps = [f"{services[s]} in {phases[p].name} ({coverage.phases[p, s]:.1%} there)" for p, s in uncertain[:5]]
    if gaps:
        more = f" and {len(uncertain) - len(gaps)} more" if len(uncertain) > len(gaps) else ""
        notes.append(
            f"Logs are missing, or not in yet: {', '.join(gaps)}{more}. "
            "What is there is a floor of what was; it is not judged as small."
        )
    return tuple(notes)
