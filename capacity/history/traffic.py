"""Traffic by service and interval: lazy over an engine, its methods return bounded frames."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Any, Self
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from capacity.errors import InputError, Problem, UsageError
from capacity.history import rollup
from capacity.history.clock import DAY_S, Clock, day_lengths_s, read_clock, read_zone, start_of_day
from capacity.history.contracts import TRAFFIC
from capacity.history.day_shape import day_shape
from capacity.history.engine import quiet
from capacity.history.tables import unreadable_table

_UNITS_S = {"s": 1, "min": 60, "h": 3600, "D": DAY_S}
_MOST_ROWS = 50_000_000
_LIMITS = ("p95_ms", "p99_ms", "error_fraction")


class Traffic:
    """Requests by service and interval, as they were known before `as_of`.

    Nothing is read before a method asks; methods aggregate in the engine (DuckDB over Parquet, or the one the logs
    live in) and return frames. Times are in the workspace's zone. ``requests`` include those turned away and leave
    out load tests.

    Parameters
    ----------
    open_table
        Returns the Ibis table; called when first needed, and again when its files have been replaced meanwhile.
    timezone
        IANA name; whose days count.
    as_of
        Rows at or after this local day are invisible.

    Examples
    --------
    >>> rows = pd.DataFrame({"ts": pd.date_range("2026-11-11 20:00", periods=3, freq="min"), "service": "cart"})
    >>> traffic = Traffic.from_frame(rows.assign(requests=[600, 1200, 60]), timezone="Asia/Shanghai")
    >>> traffic
    <Traffic: 1 service, 2026-11-11 20:00 to 2026-11-11 20:02 Asia/Shanghai>
    >>> traffic.block_maxima("1D")[["service", "max_requests_per_s", "interval_s"]]
      service  max_requests_per_s  interval_s
    0    cart                20.0          60
    """

    def __init__(self, open_table: Callable[[], Any], *, timezone: str, as_of: date | None = None) -> None:
        read_zone(timezone)
        self.timezone = timezone
        self.as_of = as_of
        self._open_table = open_table
        self._table: Any = None

    @classmethod
    def from_frame(cls, frame: pd.DataFrame, *, timezone: str, as_of: date | None = None) -> Self:
        """Hold a frame in the columns of the contract; its rows are checked as `ingest` checks a file's.

        Raises
        ------
        InputError
            If columns are missing or any row breaks the contract.
        """
        from capacity.history.ingestion import settle_frame

        held = settle_frame(frame, TRAFFIC, timezone=timezone) if len(frame) else empty_table()
        return cls(lambda: held, timezone=timezone, as_of=as_of)

    def __repr__(self) -> str:
        if self.is_empty:
            return "<Traffic: empty>"
        n = len(self.services)
        span = f"{self.first_at:%Y-%m-%d %H:%M} to {self.last_at:%Y-%m-%d %H:%M} {self.timezone}"
        return f"<Traffic: {n} service{'s' * (n != 1)}, {span}>"

    @cached_property
    def services(self) -> tuple[str, ...]:
        """Names of the services, sorted."""
        frame = self._frame(lambda rows: rows.select("service").distinct().order_by("service"))
        return tuple(str(name) for name in frame["service"])

    @cached_property
    def _span_s(self) -> tuple[float, float] | None:
        def span(rows: Any) -> Any:
            return rows.aggregate(first=rollup.seconds(rows).min(), last=rollup.seconds(rows).max())

        first, last = self._frame(span).iloc[0]
        return None if pd.isna(first) else (float(first), float(last))

    @property
    def is_empty(self) -> bool:
        """Whether no row is visible."""
        return self._span_s is None

    @property
    def first_at(self) -> datetime | None:
        """Start of the first row."""
        return None if self._span_s is None else datetime.fromtimestamp(self._span_s[0], ZoneInfo(self.timezone))

    @property
    def last_at(self) -> datetime | None:
        """Start of the last row."""
        return None if self._span_s is None else datetime.fromtimestamp(self._span_s[1], ZoneInfo(self.timezone))

    def interval_s(self, starts_at: datetime | None = None, ends_at: datetime | None = None) -> "pd.Series[int]":
        """Return each service's interval that speaks for the most time in a span, in seconds.

        Parameters
        ----------
        starts_at, ends_at
            Aware; all the time when left out.

        Returns
        -------
        Series
            Indexed by service.
        """

        def widths(rows: Any) -> Any:
            rows = rollup.between(rows, starts_at or _moment(0), ends_at or _moment(2**32), None)
            return rows.group_by("service", "interval_s").aggregate(covered_s=rows.interval_s.sum())

        frame = self._frame(widths).sort_values(["service", "covered_s", "interval_s"])
        return frame.groupby("service")["interval_s"].last().astype("int64")

    def daily(self, services: Sequence[str] | None = None) -> pd.DataFrame:
        """Sum by local day and service.

        Parameters
        ----------
        services
            Only these; all when left out.

        Returns
        -------
        DataFrame
            Columns date (local day), service, requests (rejected ones included, load tests not), rejected, errors,
            test_requests, bot_requests (NaN where never told), covered_fraction (share of the day that rows speak for:
            a day with gaps has missing requests, not few). What midnight cuts is shared out by time.
        """
        frame = self._frame(lambda rows: rollup.daily(rollup.of_services(rows, services), self._clock))
        if self.as_of is not None:
            # What a row before midnight says of the time after it is not yet known.
            frame = frame[frame["day"] < (self.as_of - date(1970, 1, 1)).days].reset_index(drop=True)
        frame["requests"] = frame["requests"].round()
        days = frame["day"].to_numpy(dtype="int64").astype("datetime64[D]")
        length = day_lengths_s(days, self.timezone)
        frame.insert(0, "date", pd.Series(days.astype("datetime64[us]"), index=frame.index))
        frame["covered_fraction"] = frame.pop("covered_s").to_numpy(dtype=float) / length
        return frame.drop(columns="day").astype({"requests": "int64"})

    def window(self, starts_at: datetime, ends_at: datetime, services: Sequence[str] | None = None) -> pd.DataFrame:
        """Return the rows that start in a span, as they were logged.

        Parameters
        ----------
        starts_at, ends_at
            Aware; the end is not included.
        services
            Only these; all when left out.

        Returns
        -------
        DataFrame
            Columns ts, service, interval_s, requests (load tests left out), errors, rejected, test_requests,
            bot_requests, peak_qps, p50_ms, p95_ms, p99_ms, cpu_fraction, instances; NaN where unknown.

        Raises
        ------
        UsageError
            If a moment has no zone, or more than fifty million rows would come back.
        """
        for name, moment in (("starts_at", starts_at), ("ends_at", ends_at)):
            if moment.tzinfo is None:
                raise UsageError(f"{name}: got {moment} without a zone, expected an aware datetime")
        columns = ["ts", "service", "interval_s", "requests", "errors", "rejected", "test_requests", "bot_requests"]
        columns += ["peak_qps", "p50_ms", "p95_ms", "p99_ms", "cpu_fraction", "instances"]

        def rows_of(rows: Any) -> Any:
            rows = rollup.between(rows, starts_at, ends_at, services)
            tests = rows.test_requests.fill_null(0)
            return rows.mutate(requests=rows.requests - tests).select(columns).order_by("ts", "service")

        frame = self._frame(lambda rows: rows_of(rows).limit(_MOST_ROWS + 1))
        if len(frame) > _MOST_ROWS:
            raise UsageError(
                f"the window has more than {_MOST_ROWS:,} rows", remedy="name fewer services, or ask for block_maxima"
            )
        return frame

    def block_maxima(self, block: str = "1D") -> pd.DataFrame:
        """Return the busiest interval of each block of time and service.

        Parameters
        ----------
        block
            A length such as ``1D``, ``6h``, ``1h``, ``30min``; longer than an hour is of the local calendar.

        Returns
        -------
        DataFrame
            Columns block_at, service, max_requests_per_s (mean rate of the busiest interval), max_at (its start),
            interval_s (its length), peak_qps (largest known second of the block; NaN when unknown).
        """
        block_s = _read_block(block)
        frame = self._frame(lambda rows: rollup.block_maxima(rows, self._clock, block_s))
        starts = frame.pop("block")
        if block_s <= 3600:
            block_at = self._local(starts)
        else:
            # A block of the calendar begins at a wall time, which a clock change may skip or repeat.
            wall = pd.Series(pd.to_datetime(starts.to_numpy(dtype="int64"), unit="s")).astype("datetime64[us]")
            first_pass = np.ones(len(wall), dtype=bool)
            block_at = wall.dt.tz_localize(self.timezone, ambiguous=first_pass, nonexistent="shift_forward")
        frame.insert(0, "block_at", block_at)
        frame.insert(3, "max_at", self._local(frame.pop("at_s")))
        return frame

    def dispersion(self) -> pd.DataFrame:
        """Estimate by service how much more a second varies than chance: φ of ``Var = λ + φ λ²``.

        Read from ``peak_qps`` against each interval's mean, see :func:`capacity.history.rollup.dispersion`.

        Returns
        -------
        DataFrame
            Columns service, phi (NaN when unknown), n (rows it rests on).
        """
        found = self._frame(rollup.dispersion)
        every = pd.DataFrame({"service": pd.Series(self.services, dtype="str")})
        frame = every.merge(found, on="service", how="left")
        return frame.assign(n=frame["n"].fillna(0).astype("int64"), phi=frame["phi"].astype("float64"))[
            ["service", "phi", "n"]
        ]

    def proven(self, slo: Any = None, top: int = 200) -> pd.DataFrame:
        """Return each service's busiest rows per instance: what was served can be served.

        Parameters
        ----------
        slo
            An objective with ``p95_ms``, ``p99_ms``, ``error_fraction``, for all services, or a mapping of service to
            objective: only rows within it, of the services named. An unknown latency proves nothing.
        top
            Rows a service.

        Returns
        -------
        DataFrame
            Columns service, ts, interval_s, qps_per_instance (rejected requests left out, load tests not), instances,
            p95_ms, p99_ms, error_fraction (of those not rejected), cpu_fraction; busiest first.
        """
        limits = self._limits(slo)
        return self._frame(lambda rows: rollup.proven(rows, limits, top))

    def typical_day(self, services: Sequence[str] | None = None, *, before: date, days: int = 28) -> pd.DataFrame:
        """Return how an ordinary day's requests spread over its minutes.

        The median over whole days, so that a promotion among them weighs little; where no day is whole, all days
        pooled.

        Parameters
        ----------
        services
            Only these; all when left out.
        before
            The days before this local day.
        days
            How many.

        Returns
        -------
        DataFrame
            Columns service, minute_of_day (start of the slot, from 0 on in steps as wide as the widest interval, or a
            part of it where midnight cuts intervals), share (adds up to 1).
        """
        start = start_of_day(before - timedelta(days=days), self.timezone)
        stop = start_of_day(before, self.timezone)
        clock = self._clock
        frame = self._frame(lambda rows: rollup.typical_day(rollup.between(rows, start, stop, services), clock))
        columns = ["service", "minute_of_day", "share"]
        parts = [day_shape(str(name), part) for name, part in frame.groupby("service", sort=True)]
        if not parts:
            empty = {"service": pd.Series(dtype="str"), "minute_of_day": pd.Series(dtype="int64")}
            return pd.DataFrame({**empty, "share": pd.Series(dtype="float64")})
        return pd.concat(parts, ignore_index=True)[columns]

    def sums(self, windows: pd.DataFrame) -> pd.DataFrame:
        """Add up windows by service, load tests included.

        Parameters
        ----------
        windows
            Columns start_s, end_s: seconds since 1970 UTC, the end not included.

        Returns
        -------
        DataFrame
            Columns service, start_s, end_s, requests, covered_s (seconds that rows speak for).
        """
        import pyarrow as pa

        spans = pa.table({name: windows[name].to_numpy(dtype="int64") for name in ("start_s", "end_s")})
        return self._frame(lambda rows: rollup.sums(rows, spans))

    def instances(self) -> pd.DataFrame:
        """Return how many instances served each service at last: the median of the last day that tells.

        Returns
        -------
        DataFrame
            Columns service, instances; services of which nothing is told are left out.
        """
        return self._frame(lambda rows: rollup.last_instances(rows, self._clock))

    @property
    def _clock(self) -> Clock:
        first, last = self._span_s or (0.0, 0.0)
        return read_clock(self.timezone, first=_moment(first), last=_moment(last))

    def _limits(self, slo: Any) -> dict[str, dict[str, float]] | None:
        if slo is None:
            return None
        by_service = slo if isinstance(slo, Mapping) else dict.fromkeys(self.services, slo)
        return {
            name: {limit: float(value) for limit in _LIMITS if (value := getattr(one, limit, None)) is not None}
            for name, one in by_service.items()
        }

    def _rows(self) -> Any:
        if self._table is None:
            self._table = self._open_table()
        if self.as_of is None:
            return self._table
        return rollup.before(self._table, start_of_day(self.as_of, self.timezone))

    def _frame(self, build: Callable[[Any], Any]) -> pd.DataFrame:
        """Run a query; once more on newly opened files when an ingest has replaced them meanwhile."""
        import duckdb

        with quiet():
            try:
                arrow = build(self._rows()).to_pyarrow()
            except duckdb.IOException:
                self._table = None
                try:
                    arrow = build(self._rows()).to_pyarrow()
                except duckdb.IOException as error:
                    raise unreadable_table("traffic", str(error)) from None
            except duckdb.InvalidInputException as error:
                raise unreadable_table("traffic", str(error)) from None
        frame: pd.DataFrame = arrow.to_pandas()
        for name in frame.columns.intersection(list(rollup.OPTIONAL)):
            frame[name] = frame[name].astype("float64")
        if "ts" in frame:
            stamps = pd.to_datetime(frame["ts"], utc=True).astype("datetime64[us, UTC]")
            frame["ts"] = stamps.dt.tz_convert(self.timezone)
        return frame

    def _local(self, at_s: "pd.Series[Any]") -> "pd.Series[Any]":
        stamps = pd.Series(pd.to_datetime(at_s.to_numpy(dtype="int64"), unit="s", utc=True), index=at_s.index)
        return stamps.astype("datetime64[us, UTC]").dt.tz_convert(self.timezone)


def empty_table() -> Any:
    """Return a table of traffic without rows."""
    from capacity.history.engine import connect

    backend = connect()
    schema = {column.name: "int64" if column.kind == "count" else "float64" for column in TRAFFIC.columns}
    schema |= {"ts": "timestamp('UTC', 6)", "service": "string", "interval_s": "int64"}
    with quiet():
        return backend.create_table("traffic", schema=schema)


def _moment(at_s: float) -> datetime:
    return datetime.fromtimestamp(at_s, ZoneInfo("UTC"))


def _read_block(block: str) -> int:
    number = block.rstrip("sminhD")
    unit = block[len(number) :]
    if unit not in _UNITS_S or not (number or "1").isdigit() or int(number or "1") == 0:
        raise InputError(
            f"block {block!r} is not a length",
            problems=[Problem("block", repr(block), "a number and one of s, min, h, D, such as '1D'")],
        )
    return int(number or "1") * _UNITS_S[unit]
