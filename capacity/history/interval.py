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

from functools import cache
from typing import Any

# Steps that logging systems use; all divide an hour.
STANDARD_WIDTHS_S = (1, 2, 5, 10, 15, 20, 30, 60, 120, 180, 300, 600, 900, 1200, 1800, 3600)

_HOUR_S = 3600
_DAY_HOURS = 24
_TOLERANCE = 0.1
_REGULAR_SHARE = 0.8
_REGULAR_ROWS = 4
_MANY_ROWS = 9
_MARK = 4096


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
    >>> times = [start + timedelta(minutes=m) for m in (0, 1, 2, 3, 9, 10)]
    >>> times += [start + timedelta(hours=h) for h in range(3)]
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


@cache
def interval_sql(columns: tuple[str, ...], *, table: str, apart: tuple[str, ...] = ()) -> str:
    """Write `with_interval` as DuckDB's SQL, once: composing it costs more than running it on few rows.

    Parameters
    ----------
    columns
        Names of the table's columns besides ``ts``, ``service`` and `apart`.
    table
        Its name.
    apart
        As for `with_interval`.
    """
    import ibis

    # Other columns are carried through; their types do not matter to the query.
    types = dict.fromkeys((*columns, "service", *apart), "string") | {"ts": "timestamp(6)"}
    return str(ibis.to_sql(with_interval(ibis.table(types, name=table), apart=apart), dialect="duckdb"))


def _describe_hours(steps: Any, series: list[str]) -> Any:
    """One row an hour of a service: how many rows, which widths fit their steps, and the width most steps are near."""
    import ibis

    # Equal steps first: a dense hour has one, so that what follows sees few rows.
    equal = steps.group_by(*series, "_hour", "_step").aggregate(m=steps.count(), first=steps["_s"].min())
    step = equal["_step"]
    near = _first_of([((step - w).abs() <= _TOLERANCE * w, w) for w in STANDARD_WIDTHS_S])
    divides = sum((step % w == 0).ifelse(1 << bit, 0) for bit, w in enumerate(STANDARD_WIDTHS_S))
    known = equal.mutate(near=near, steps=step.notnull().ifelse(equal.m, 0))
    known = known.mutate(divides=step.notnull().ifelse(divides, ibis.null("int64")))
    alike = known.group_by(*series, "_hour", "near").aggregate(
        m=known.m.sum(), steps=known.steps.sum(), first=known["first"].min(), divides=known.divides.bit_and()
    )
    return alike.group_by(*series, "_hour").aggregate(
        n=alike.m.sum(),
        steps=alike.steps.sum(),
        phase=alike["first"].min() % _HOUR_S,
        divides=alike.divides.bit_and(),
        near=alike.near.argmax(alike.m, where=alike.near.notnull()),
        n_near=alike.m.max(where=alike.near.notnull()),
    )


def _judge_hours(hours: Any, series: list[str]) -> Any:
    """Add ``width`` to the hours."""
    import ibis

    regular = (hours.n >= _REGULAR_ROWS) & (hours.n_near >= _REGULAR_SHARE * hours.steps)
    own = _first_of([(regular, hours.near), (hours.n >= _MANY_ROWS, _widest(hours.divides))])
    judged = hours.mutate(own=own, day=(hours["_hour"] / _DAY_HOURS).floor().cast("int64"))
    judged = judged.mutate(few=(judged.n >= 2) & judged.own.isnull())
    pooled = judged.few.ifelse(judged.divides, ibis.null("int64")).bit_and()
    judged = judged.mutate(pooled=pooled.over(group_by=[*series, "day"]))
    order = ibis.window(group_by=series, order_by="_hour")
    beside = [
        (judged.n == 1) & (judged.n.lag(k).over(order) == 1) & (judged.phase.lag(k).over(order) == judged.phase)
        for k in (1, -1)
    ]
    judged = judged.mutate(single=beside[0].fill_null(False) | beside[1].fill_null(False))
    hour = ibis.literal(_HOUR_S, "int64")
    known = _first_of([(judged.own.notnull(), judged.own), (judged.single, hour), (judged.few, _widest(judged.pooled))])
    # The hour and its width as one number: its largest so far is the width known last. Widths are below 4096.
    judged = judged.mutate(known=known, mark=judged["_hour"] * _MARK + known)
    past = ibis.window(group_by=series, order_by="_hour", preceding=None, following=0)
    future = ibis.window(group_by=series, order_by="_hour", preceding=0, following=None)
    width = ibis.coalesce(
        judged.known, judged.mark.max().over(past) % _MARK, judged.mark.min().over(future) % _MARK, hour
    )
    return judged.mutate(width=width)


def _widest(divides: Any) -> Any:
    """Return the widest width of a set, one bit a width."""
    import ibis

    bits = [(divides & (1 << bit) > 0, ibis.literal(w, "int64")) for bit, w in enumerate(STANDARD_WIDTHS_S)]
    return ibis.cases(*reversed(bits), else_=ibis.literal(1, "int64"))


def _first_of(branches: list[tuple[Any, Any]]) -> Any:
    """Return the first branch that holds, as int64; null where none does."""
    import ibis

    return ibis.cases(*branches, else_=None).cast("int64")
