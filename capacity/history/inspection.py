"""What a person should know of rows just taken in: gaps, counters, the busiest hour, totals that do not add up."""

# ruff: noqa: S608 - names come from the contracts, paths are quoted; a file's content never enters a query.
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from capacity.display.numbers import format_number
from capacity.history.clock import read_clock
from capacity.history.merge import parquet_sql
from capacity.history.tables import Part

_SHOWN = 100
# A series that almost never falls is a running total, not a count: real traffic falls every night.
_COUNTER_ROWS = 24
_COUNTER_FALLS = 0.02
_COUNTER_RISES = 0.5
# A row that holds an interval so many times as long as was taken is told from a busy one, if it counts enough.
_FEWEST_TIMES = 8
_FEWEST_REQUESTS = 30
# A busiest hour says something of the zone when most of the day was seen and the hour is well above the others.
_HOURS_SEEN = 18
_STANDS_OUT = 1.3


@dataclass(frozen=True)
class Inspection:
    """Findings about the rows of one ingest, as they now stand in the table.

    Parameters
    ----------
    gaps
        Columns service (segment), starts_at, ends_at, missing_s; the longest hundred.
    n_gaps, missing_s
        All of them.
    resets
        Columns service, rows, falls: ``requests`` that look like a running counter.
    busiest_hour
        Local hour of the day with the highest mean rate, in words; empty for other tables.
    busiest_at
        That hour, 0 to 23.
    warnings
        In words, with what to do.
    """

    gaps: pd.DataFrame
    n_gaps: int = 0
    missing_s: float = 0.0
    resets: pd.DataFrame | None = None
    busiest_hour: str = ""
    busiest_at: int | None = None
    warnings: tuple[str, ...] = ()


def inspect_traffic(con: Any, folder: Path, parts: Sequence[Part], *, timezone: str) -> Inspection:
    """Inspect the services and days that were taken in, where they now stand."""
    clock = _clock_of(parts, timezone)
    offset = clock.offset_sql("epoch(ts)")
    con.execute(f"""
        CREATE OR REPLACE VIEW taken AS
        SELECT make_timestamp(epoch_us(ts)) AS ts, service, interval_s, requests, peak_qps, test_requests
        FROM {parquet_sql(folder, parts)}
        WHERE service IN (SELECT service FROM replaced)
          AND epoch_us(ts) BETWEEN (SELECT epoch_us(min(ts)) FROM kept) AND (SELECT epoch_us(max(ts)) FROM kept)""")
    gaps, n_gaps, missing = _traffic_gaps(con, timezone)
    resets = _counters(con)
    hour, words, stands_out = _busiest(con, offset, timezone)
    warnings = [
        *_counter_warnings(resets),
        *_hour_warnings(hour if stands_out else None, timezone),
        *_peak_warnings(con),
        *_lone_rows(con),
        *_width_warnings(con),
    ]
    return Inspection(gaps, n_gaps, missing, resets, words, hour, tuple(warnings))


def inspect_daily_activity(con: Any) -> Inspection:
    """Inspect the days that were taken in: missing days, and totals that cannot be."""
    con.execute("""
        CREATE OR REPLACE VIEW gaps AS
        SELECT segment, date + 1 AS starts_on, following - 1 AS ends_on, 86400.0 * (following - date - 1) AS missing_s
        FROM (SELECT segment, date, lead(date) OVER (PARTITION BY segment ORDER BY date) AS following FROM kept)
        WHERE following > date + 1""")
    frame = _frame(con, f"SELECT * FROM gaps ORDER BY missing_s DESC, segment, starts_on LIMIT {_SHOWN}")
    n_gaps, missing = con.execute("SELECT count(*), coalesce(sum(missing_s), 0) FROM gaps").fetchall()[0]
    days = con.execute("""
        WITH d AS (SELECT date,
                          max(dau) FILTER (segment = 'total') AS total,
                          max(dat) FILTER (segment = 'total') AS orders,
                          sum(dau) FILTER (segment <> 'total') AS parts,
                          max(dau) FILTER (segment <> 'total') AS largest,
                          sum(dat) FILTER (segment <> 'total') AS part_orders
                   FROM kept GROUP BY date)
        SELECT count(*) FILTER (total > parts), count(*) FILTER (total < largest),
               count(*) FILTER (orders <> part_orders), count(*) FILTER (total IS NULL), count(*)
        FROM d WHERE parts IS NOT NULL""").fetchall()[0]
    above, below, orders, without, n = (int(value) for value in days)
    warnings = []
    if above and above < n:
        warnings.append(f"on {above:,} of {n:,} days the total's dau is above the sum of the segments: is one missing?")
    if below:
        warnings.append(f"on {below:,} days the total's dau is below its largest segment: one of the two is wrong")
    if orders:
        warnings.append(f"on {orders:,} of {n:,} days the total's dat is not the sum of the segments'")
    if without:
        warnings.append(
            f"{without:,} of {n:,} days have no row with segment 'total': the segments' dau added up is an upper bound"
        )
    return Inspection(frame, int(n_gaps), float(missing), warnings=tuple(warnings))


def inspect_calls(con: Any) -> Inspection:
    """Inspect the calls that were taken in."""
    undated = con.execute("SELECT count(*) FROM kept WHERE window_start IS NULL").fetchall()[0][0]
    said = f"{undated:,} calls have no window: they are visible under every as_of; give window_start and window_end"
    return Inspection(pd.DataFrame(), warnings=(said,) if undated else ())


def _clock_of(parts: Sequence[Part], timezone: str) -> Any:
    from datetime import UTC, datetime

    known = [us for part in parts for us in (part.first_us, part.last_us) if us is not None]
    first, last = (datetime.fromtimestamp(us / 1e6, UTC) for us in (min(known), max(known)))
    return read_clock(timezone, first=first, last=last)


def _frame(con: Any, query: str) -> pd.DataFrame:
    frame: pd.DataFrame = con.sql(query).to_arrow_table().to_pandas()
    return frame


def _traffic_gaps(con: Any, timezone: str) -> tuple[pd.DataFrame, int, float]:
    # Half an interval of room, for timestamps that wobble.
    con.execute("""
        CREATE OR REPLACE VIEW gaps AS
        SELECT service, ts + to_seconds(interval_s) AS starts_at, following AS ends_at,
               epoch(following - ts) - interval_s AS missing_s
        FROM (SELECT service, ts, interval_s, lead(ts) OVER (PARTITION BY service ORDER BY ts) AS following FROM taken)
        WHERE epoch(following - ts) > 1.5 * interval_s""")
    frame = _frame(con, f"SELECT * FROM gaps ORDER BY missing_s DESC, service, starts_at LIMIT {_SHOWN}")
    for name in ("starts_at", "ends_at"):
        frame[name] = pd.to_datetime(frame[name]).dt.tz_localize("UTC").dt.tz_convert(timezone)
    n, missing = con.execute("SELECT count(*), coalesce(sum(missing_s), 0) FROM gaps").fetchall()[0]
    return frame, int(n), float(missing)


def _counters(con: Any) -> pd.DataFrame:
    return _frame(
        con,
        f"""
        WITH steps AS (SELECT service, requests - lag(requests) OVER (PARTITION BY service ORDER BY ts) AS step
                       FROM taken)
        SELECT service, count(*) + 1 AS rows, count(*) FILTER (step < 0) AS falls
        FROM steps WHERE step IS NOT NULL GROUP BY service
        HAVING count(*) >= {_COUNTER_ROWS} AND count(*) FILTER (step < 0) <= {_COUNTER_FALLS} * count(*)
           AND count(*) FILTER (step > 0) >= {_COUNTER_RISES} * count(*)
        ORDER BY service""",
    )


def _counter_warnings(resets: pd.DataFrame) -> list[str]:
    return [
        f"{row.service}: requests rise through {row.rows:,} rows and fall {row.falls:,} times: this looks like a "
        "running counter, not a count per interval; take differences first (Prometheus: increase) and ingest again"
        for row in resets.itertuples()
    ]


def _busiest(con: Any, offset: str, timezone: str) -> tuple[int | None, str, bool]:
    """Hour of the day, its words, and whether it stands out at all."""
    rows = con.execute(f"""
        SELECT CAST(floor((epoch(ts) + {offset}) / 3600) AS BIGINT) % 24 AS hour,
               sum(requests - coalesce(test_requests, 0)) / sum(interval_s) AS qps
        FROM taken GROUP BY 1 ORDER BY qps DESC, hour""").fetchall()
    if not rows or not rows[0][1]:
        return None, "", False
    hour, qps = int(rows[0][0]), float(rows[0][1])
    middle = float(rows[len(rows) // 2][1])
    words = f"{hour:02d}:00–{(hour + 1) % 24:02d}:00 {timezone} ({format_number(qps)} requests/s a service on average)"
    return hour, words, len(rows) >= _HOURS_SEEN and qps >= _STANDS_OUT * middle


def _hour_warnings(hour: int | None, timezone: str) -> list[str]:
    if hour is None or not 1 <= hour < 6:
        return []
    asked = f"the busiest hour is {hour:02d}:00 in {timezone}, at night: is the source in another zone?"
    return [f"{asked} Say which with --timezone, and ingest again"]


def _peak_warnings(con: Any) -> list[str]:
    n = con.execute(
        "SELECT count(*) FROM taken WHERE peak_qps < 0.99 * requests / interval_s AND interval_s > 1"
    ).fetchall()[0][0]
    said = f"{n:,} rows have a peak_qps below the mean of their interval: it is not the count of the busiest second"
    return [said] if n else []


def _lone_rows(con: Any) -> list[str]:
    services = con.execute("SELECT service FROM taken GROUP BY service HAVING count(*) = 1 ORDER BY service").fetchall()
    if not services:
        return []
    names = ", ".join(row[0] for row in services[:5]) + (f" and {len(services) - 5} more" if len(services) > 5 else "")
    return [f"one row only, taken as an hour's since nothing says its interval: {names}"]


def _width_warnings(con: Any) -> list[str]:
    """Rows of which the timestamps say one width, and those before them, or the counts, another."""
    con.execute(f"""
        CREATE OR REPLACE TABLE doubtful AS
        WITH beside AS (
            SELECT service, ts, interval_s AS w, requests, requests / interval_s AS rate,
                   epoch(lead(ts) OVER s - ts) AS step, epoch(ts - lag(ts) OVER s) AS step_before,
                   epoch(lead(ts, 2) OVER s - lead(ts) OVER s) AS step_after,
                   lag(interval_s) OVER s AS w_before, lead(interval_s) OVER s AS w_after,
                   lag(requests / interval_s) OVER s AS rate_before, lead(requests / interval_s) OVER s AS rate_after
            FROM taken WINDOW s AS (PARTITION BY service ORDER BY ts)),
        longer AS (
            SELECT *, CASE WHEN w_before >= {_FEWEST_TIMES} * w THEN w_before
                           WHEN least(step, 3600) >= {_FEWEST_TIMES} * w AND step_after <= 1.5 * w_after
                           THEN least(step, 3600) END AS holds_s
            FROM beside WHERE step_before <= 1.5 * w_before)
        SELECT service, ts, step = w AND w < w_before AND w <> w_after AS cut, w_before / w AS times,
               requests >= {_FEWEST_REQUESTS} AND requests / holds_s BETWEEN 0.5 * beside AND 2 * beside AS holds_more,
               holds_s / w AS held
        FROM (SELECT *, sqrt(rate_before * rate_after) AS beside FROM longer) WHERE cut OR holds_more""")
    warnings = []
    for column, times, said in (
        ("cut", "times", "are followed before an interval like those before them is over, and taken as ending there"),
        ("holds_more", "held", "count what a far longer interval would than their timestamps say"),
    ):
        n, most, first = con.execute(f"""
            SELECT count(*), max({times}), arg_min({{'service': service, 'ts': ts}}, (ts, service))
            FROM doubtful WHERE {column}""").fetchall()[0]
        if n:
            warnings.append(
                f"{n:,} rows {said}: if totals of longer intervals, or several hosts, are mixed in, their rates are up "
                f"to {format_number(most)} times too high; keep one of the two and ingest again. The first: "
                f"{first['service']} at {first['ts']:%Y-%m-%d %H:%M:%S} UTC"
            )
    return warnings
