"""Each row's interval, inferred from the timestamps of its service.

A row says when its interval starts, not how long it is; widths change within a table, rows are missing, rare
requests leave minutes unlogged. Widths divide an hour, so each service's hours are judged one by one:

- regular: at least four rows, four fifths of the steps within 10 % of one standard width: that width;
- many rows (nine or more), not regular: the widest standard width that divides every step;
- few rows (two to eight): the widest width that divides all steps of such hours of the same day;
- one row an hour, and the hour before or after has one row too, at the same minute: one hour;
- else: the width before, else the width after; a service's only row: one hour, the widest there is.

A gap therefore never widens an interval, and an hourly stretch next to a minute's stretch stays hourly.
"""

from typing import Any

# Steps that logging systems use; all divide an hour.
STANDARD_WIDTHS_S = (1, 2, 5, 10, 15, 20, 30, 60, 120, 180, 300, 600, 900, 1200, 1800, 3600)

_HOUR_S = 3600
_DAY_HOURS = 24
_TOLERANCE = 0.1
_REGULAR_SHARE = 0.8
_REGULAR_ROWS = 4
_MANY_ROWS = 9


def with_interval(table: Any, *, apart: tuple[str, ...] = ()) -> Any:
    """Add ``interval_s`` to a table of ``ts`` (UTC) and ``service``.

    Parameters
    ----------
    table
        An Ibis table; one row a service and timestamp.
    apart
        Columns whose values are judged apart from each other, as services are.

    Returns
    -------
    ibis.Table
        The table with ``interval_s``, an integer of seconds.

    Examples
    --------
    A minute series with a gap, and an hourly one:

    >>> import ibis, pyarrow as pa
    >>> from datetime import datetime, timedelta
    >>> start = datetime(2026, 11, 11, 20)
    >>> times = [start + timedelta(minutes=m) for m in (0, 1, 2, 3, 9, 10)] + [start + timedelta(hours=h) for h in range(3)]
    >>> rows = ibis.memtable(pa.table({"ts": times, "service": ["minutes"] * 6 + ["hours"] * 3}))
    >>> with_interval(rows).order_by("service", "ts").to_pyarrow()["interval_s"].to_pylist()
    [3600, 3600, 3600, 60, 60, 60, 60, 60, 60]
    """
    import ibis

    seconds = table.ts.epoch_seconds().cast("int64")
    rows = table.mutate(_s=seconds, _hour=(seconds / _HOUR_S).floor().cast("int64"))
    series = ["service", *apart]
    within = ibis.window(group_by=[*series, "_hour"], order_by="_s")
    steps = rows.mutate(_step=rows._s.lead(1).over(within) - rows._s)  # noqa: SLF001 - columns, not attributes
    hours = _judge_hours(_describe_hours(steps, series), series)
    keys = [*series, "_hour"]
    widths = hours.select(**{f"{name}_of": hours[name] for name in keys}, interval_s=hours.width)
    joined = rows.inner_join(widths, [rows[name] == widths[f"{name}_of"] for name in keys])
    return joined.select(*table.columns, "interval_s")


def _describe_hours(steps: Any, series: list[str]) -> Any:
    """One row an hour of a service: how many rows, which widths fit their steps."""
    step = steps["_step"]
    near = {
        f"near_{width}": ((step - width).abs() <= _TOLERANCE * width).ifelse(1, 0).sum() for width in STANDARD_WIDTHS_S
    }
    divides = {f"divides_{width}": (step % width == 0).ifelse(1, 0).sum() for width in STANDARD_WIDTHS_S}
    return steps.group_by(*series, "_hour").aggregate(
        n=steps.count(), steps=step.count(), phase=steps["_s"].min() % _HOUR_S, **near, **divides
    )


def _judge_hours(hours: Any, series: list[str]) -> Any:
    """Add ``width`` to the hours."""
    import ibis

    regular = ibis.cases(
        *((hours[f"near_{w}"] >= _REGULAR_SHARE * hours.steps, w) for w in STANDARD_WIDTHS_S), else_=None
    )
    own = ibis.cases(
        ((hours.n >= _REGULAR_ROWS) & regular.notnull(), regular),
        (hours.n >= _MANY_ROWS, _widest_divisor(hours, hours.steps)),
        else_=None,
    )
    judged = hours.mutate(own=own.cast("int64"), few=((hours.n >= 2) & own.isnull()).ifelse(1, 0))
    judged = judged.mutate(day=(judged["_hour"] / _DAY_HOURS).floor().cast("int64"))
    pooled = _pool(judged, series)
    before = ibis.window(group_by=series, order_by="_hour")
    same = [
        (judged.n == 1) & (judged.n.lag(k).over(before) == 1) & (judged.phase.lag(k).over(before) == judged.phase)
        for k in (1, -1)
    ]
    judged = judged.mutate(single=(same[0].fill_null(False) | same[1].fill_null(False)))
    known = ibis.cases(
        (judged.own.notnull(), judged.own),
        (judged.single, ibis.literal(_HOUR_S, "int64")),
        (judged.few == 1, pooled),
        else_=None,
    )
    judged = judged.mutate(known=known)
    past = ibis.window(group_by=series, order_by="_hour", preceding=None, following=0)
    future = ibis.window(group_by=series, order_by="_hour", preceding=0, following=None)
    width = ibis.coalesce(
        judged.known,
        judged.known.last().over(past),
        judged.known.first().over(future),
        ibis.literal(_HOUR_S, "int64"),
    )
    return judged.mutate(width=width)


def _pool(judged: Any, series: list[str]) -> Any:
    """Widest width that divides every step of the day's hours with few rows."""
    import ibis

    day = ibis.window(group_by=[*series, "day"])
    few = judged.few == 1
    n = few.ifelse(judged.steps, 0).sum().over(day)
    fits = [
        (few.ifelse(judged[f"divides_{w}"], 0).sum().over(day) == n, ibis.literal(w, "int64"))
        for w in reversed(STANDARD_WIDTHS_S)
    ]
    return ibis.cases(*fits, else_=ibis.literal(1, "int64"))


def _widest_divisor(hours: Any, steps: Any) -> Any:
    import ibis

    fits = [(hours[f"divides_{w}"] == steps, ibis.literal(w, "int64")) for w in reversed(STANDARD_WIDTHS_S)]
    return ibis.cases(*fits, else_=ibis.literal(1, "int64"))
