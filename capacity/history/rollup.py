"""Rollups of traffic as Ibis expressions: what runs in DuckDB here runs in the engine the logs live in.

Local time is a shift by whole seconds (`clock`), so that no engine's idea of time zones enters. Days and blocks are
whole numbers of local seconds since 1970. Requests of load tests are left out throughout; where a row has any, its
``peak_qps`` is unknown.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from statistics import NormalDist
from typing import Any

from capacity.history.clock import DAY_S, Clock
from capacity.history.contracts import TRAFFIC
from capacity.history.interval import STANDARD_WIDTHS_S, with_interval

OPTIONAL = tuple(column.name for column in TRAFFIC.columns if not column.required)
_TYPES = {column.name: "int64" if column.kind == "count" else "float64" for column in TRAFFIC.columns}
# Below ten requests a second counts are too lumpy for the quantile's approximation; below ten seconds there is no tail.
_FEWEST_QPS = 10.0
_SHORTEST_S = 10
# Over more than five minutes the day's own slope would pass for dispersion.
_LONGEST_S = 300
_FEWEST_ROWS = 10
_WHOLE_DAY = 0.95


def complete(table: Any) -> Any:
    """Bring any table of traffic to all columns of the contract and ``interval_s``.

    Parameters
    ----------
    table
        An Ibis table with at least ``ts`` (UTC, or aware), ``service``, ``requests``.
    """
    import ibis

    missing = {name: ibis.literal(None, type=_TYPES[name]) for name in OPTIONAL if name not in table.columns}
    table = table.mutate(**missing) if missing else table
    return table if "interval_s" in table.columns else with_interval(table)


def seconds(table: Any) -> Any:
    """Return the start of each row in seconds since 1970 UTC."""
    return table.ts.epoch_seconds().cast("int64")


def before(table: Any, moment: datetime) -> Any:
    """Keep the rows that start before a moment."""
    return table.filter(table.ts < _literal(table, moment))


def between(table: Any, starts_at: datetime, ends_at: datetime, services: Sequence[str] | None) -> Any:
    """Keep the rows that start in a span, of some services or all."""
    return of_services(
        table.filter(table.ts >= _literal(table, starts_at), table.ts < _literal(table, ends_at)), services
    )


def of_services(table: Any, services: Sequence[str] | None) -> Any:
    """Keep the rows of some services, or of all."""
    return table if services is None else table.filter(table.service.isin(list(services)))


def without_tests(table: Any) -> Any:
    """Leave load tests out of ``requests``, and forget the busiest second of rows that had any."""
    import ibis

    tests = table.test_requests.fill_null(0)
    peak = (tests > 0).ifelse(ibis.null("float64"), table.peak_qps)
    return table.mutate(requests=table.requests - tests, peak_qps=peak)


def daily(table: Any, clock: Clock) -> Any:
    """Sum by local day and service; ``day`` in days since 1970, ``covered_s`` the seconds that rows speak for.

    A row that midnight cuts, as hours of UTC are where zones are half an hour off, is shared out by time.
    """
    rows = without_tests(table)
    local = seconds(rows) + clock.offset(seconds(rows))
    rows = rows.mutate(day=_floor(local, DAY_S), over_s=local % DAY_S + rows.interval_s - DAY_S)
    whole = rows.mutate(covered_s=rows.interval_s - (rows.over_s > 0).ifelse(rows.over_s, 0))
    after = rows.filter(rows.over_s > 0)
    parts = whole.union(after.mutate(day=after.day + 1, covered_s=after.over_s))
    share = parts.covered_s / parts.interval_s
    counts = ("requests", "rejected", "errors", "test_requests", "bot_requests")
    sums = {name: (parts[name] * share).sum() for name in counts}
    return (
        parts.group_by("day", "service").aggregate(**sums, covered_s=parts.covered_s.sum()).order_by("day", "service")
    )


def block_maxima(table: Any, clock: Clock, block_s: int) -> Any:
    """Find the busiest interval of each block and service; ``block_s_start`` in local seconds since 1970.

    Blocks of an hour or less are blocks of time, longer ones of the local calendar.
    """
    rows = without_tests(table)
    at = seconds(rows)
    local = at + clock.offset(at)
    start = _floor(local, block_s) * block_s
    rows = rows.mutate(
        block=start - (local - at) if block_s <= 3600 else start, at=at, rate=rows.requests / rows.interval_s
    )
    # Of intervals as busy as each other the first: an engine of several threads would name now one, now the other.
    rows = rows.mutate(top=rows.rate == rows.rate.max().over(group_by=["block", "service"]))
    best = rows.group_by("block", "service").aggregate(
        max_requests_per_s=rows.rate.max(),
        at_s=rows["at"].min(where=rows.top),
        interval_s=rows.interval_s.argmin(rows["at"], where=rows.top),
        peak_qps=rows.peak_qps.max(),
    )
    return best.order_by("block", "service")


def dispersion(table: Any) -> Any:
    """Estimate φ of ``Var = λ + φ λ²`` by service, from the busiest second of each interval.

    With T seconds of mean λ and gamma-like variation v = φ + 1/λ relative to the mean, the median of the largest
    second is the Wilson–Hilferty quantile (1 − v/9 + z √v / 3)³ λ at z = Φ⁻¹(½^(1/T)). Solved for v, a row gives
    φ = v − 1/λ; the median over rows is the estimate. A trend inside the interval counts as dispersion.

    References
    ----------
    Wilson & Hilferty (1931), The distribution of chi-square. PNAS 17, 684–688.
    """
    import ibis

    rows = without_tests(table)
    widths = [width for width in STANDARD_WIDTHS_S if _SHORTEST_S <= width <= _LONGEST_S]
    z = ibis.cases(
        *((rows.interval_s == width, ibis.literal(NormalDist().inv_cdf(0.5 ** (1 / width)))) for width in widths),
        else_=ibis.null("float64"),
    )
    rows = rows.mutate(mean=rows.requests / rows.interval_s, z=z)
    rows = rows.filter(rows.mean >= _FEWEST_QPS, rows.peak_qps.notnull(), rows.z.notnull())
    excess = ibis.greatest(rows.peak_qps / rows.mean, 1.0) ** (1.0 / 3.0) - 1.0
    root = 1.5 * (rows.z - ibis.greatest(rows.z * rows.z - 4.0 * excess, 0.0).sqrt())
    rows = rows.mutate(phi=root * root - 1.0 / rows.mean)
    found = rows.group_by("service").aggregate(phi=rows.phi.median(), n=rows.count())
    enough = (found.n >= _FEWEST_ROWS).ifelse(ibis.greatest(found.phi, 0.0), ibis.null("float64"))
    return found.mutate(phi=enough).order_by("service")


def proven(table: Any, limits: Mapping[str, Mapping[str, float]] | None, top: int) -> Any:
    """Find each service's busiest rows per instance; with `limits`, of those within them.

    Parameters
    ----------
    table
        Traffic, tests included: what was served was served.
    limits
        By service, highest ``p95_ms``, ``p99_ms``, ``error_fraction``. An unknown latency proves nothing; errors
        that nobody counts are taken as none.
    top
        Rows a service.
    """
    import ibis

    rows = table.filter(table.instances > 0)
    served = rows.requests - rows.rejected.fill_null(0)
    rows = rows.mutate(
        qps_per_instance=served / rows.interval_s / rows.instances,
        error_fraction=(served > 0).ifelse(rows.errors / served, ibis.null("float64")),
    )
    if limits:
        rows = _within(rows, limits)
    order = ibis.window(group_by="service", order_by=[ibis.desc("qps_per_instance"), "ts"])
    rows = rows.mutate(place=ibis.row_number().over(order))
    rows = rows.filter(rows.place < top).order_by("service", "place")
    return rows.select(
        "service",
        "ts",
        "interval_s",
        "qps_per_instance",
        "instances",
        "p95_ms",
        "p99_ms",
        "error_fraction",
        "cpu_fraction",
    )


def _within(rows: Any, limits: Mapping[str, Mapping[str, float]]) -> Any:
    """Keep the rows within their service's limits, joined as a table: conditions by name would not end at thousands."""
    import ibis
    import pyarrow as pa

    columns = sorted({column for most in limits.values() for column in most})
    cells = {column: pa.array([most.get(column) for most in limits.values()], pa.float64()) for column in columns}
    named = {f"most_{column}": cells[column] for column in columns}
    limited = rows.inner_join(ibis.memtable(pa.table({"service": list(limits), **named})), "service")
    for column in columns:
        value = limited[column].fill_null(0.0) if column == "error_fraction" else limited[column]
        most = limited[f"most_{column}"]
        limited = limited.filter(most.isnull() | (value <= most).fill_null(False))
    return limited


def typical_day(table: Any, clock: Clock) -> Any:
    """Share of the day's requests by slot: mean and median over days, whole days where there are any.

    Slots are as wide as the widest interval and begin where most of those do: half past in a zone that is half an hour
    off, if the logs keep UTC's hours.

    Returns
    -------
    ibis.Table
        Columns service, step_s, phase_s (start of the first slot after midnight), slot, middle (median share of whole
        days), pooled (slot's requests over all).
    """
    import ibis

    rows = without_tests(table)
    rows = rows.mutate(local=seconds(rows) + clock.offset(seconds(rows)))
    rows = rows.mutate(step_s=_slot_s(rows.interval_s.max().over(group_by="service")))
    phase = (rows.interval_s > rows.step_s / 2).ifelse(_floor(rows.local % rows.step_s, 60) * 60, ibis.null("int64"))
    rows = rows.mutate(phase_s=phase.mode().over(group_by="service").fill_null(0))
    rows = rows.mutate(since=rows.local - rows.phase_s)
    rows = rows.mutate(day=_floor(rows.since, DAY_S), slot=_floor(rows.since % DAY_S, rows.step_s))
    slots = rows.group_by("service", "step_s", "phase_s", "day", "slot").aggregate(
        requests=rows.requests.sum(), covered_s=rows.interval_s.sum()
    )
    of_day = ibis.window(group_by=["service", "day"])
    slots = slots.mutate(total=slots.requests.sum().over(of_day), covered=slots.covered_s.sum().over(of_day))
    slots = slots.filter(slots.total > 0)
    slots = slots.mutate(whole=(slots.covered >= _WHOLE_DAY * DAY_S).ifelse(1, 0))
    slots = slots.mutate(any_whole=slots.whole.max().over(group_by="service"))
    slots = slots.filter(slots.whole == slots.any_whole)
    shares = slots.group_by("service", "step_s", "phase_s", "slot").aggregate(
        middle=(slots.requests / slots.total).median(), pooled=slots.requests.sum(), days=slots.day.nunique()
    )
    return shares.order_by("service", "slot")


def _slot_s(widest: Any) -> Any:
    """Return the least standard width of a minute or more that holds a width: it divides a day."""
    import ibis

    return ibis.cases(*((widest <= width, width) for width in STANDARD_WIDTHS_S if width >= 60), else_=3600)


def sums(table: Any, windows: Any) -> Any:
    """Add up requests, load tests included, and covered seconds by window and service.

    Parameters
    ----------
    table
        Traffic.
    windows
        A frame in Arrow with ``start_s``, ``end_s`` in seconds since 1970.
    """
    import ibis

    rows = table.select("service", "requests", "interval_s", at_s=seconds(table))
    spans = ibis.memtable(windows)
    joined = rows.inner_join(spans, [rows.at_s >= spans.start_s, rows.at_s < spans.end_s])
    added = joined.group_by("service", "start_s", "end_s").aggregate(
        requests=joined.requests.sum(), covered_s=joined.interval_s.sum()
    )
    return added.order_by("start_s", "service")


def last_instances(table: Any, clock: Clock) -> Any:
    """Find the median of instances on the last local day that tells any, by service."""
    rows = table.filter(table.instances > 0)
    rows = rows.mutate(day=_floor(seconds(rows) + clock.offset(seconds(rows)), DAY_S))
    rows = rows.mutate(last=rows.day.max().over(group_by="service"))
    rows = rows.filter(rows.day == rows["last"])
    return rows.group_by("service").aggregate(instances=rows.instances.median()).order_by("service")


def _floor(value: Any, step: Any) -> Any:
    return (value / step).floor().cast("int64")


def _literal(table: Any, moment: datetime) -> Any:
    """Write an instant in the type of ``ts``: aware, or naive UTC."""
    import ibis

    utc = moment.astimezone(UTC)
    if table.schema()["ts"].timezone is None:
        return ibis.literal(utc.replace(tzinfo=None), type="timestamp(6)")
    return ibis.literal(utc, type="timestamp('UTC', 6)")
