"""Each row's interval, inferred from the timestamps of its service.

A row says when its interval starts, not how long it is; widths change within a table, rows are missing, rare
requests leave minutes unlogged. The step to a service's next row is a row's width where its neighbours bear that out,
wherever in the hour they stand:

- a *run* is what follows one another at one standard width; a step of any other length is a run of its own;
- the *lattice* around a run is the widest standard width of which nine tenths of the runs' steps are multiples;
- a run *stands*, and its rows have its width, if rows lost at random from the lattice would hardly ever look like it;
- rows between runs that stand have the width of the run before or after of which all their steps are multiples, the
  wider if both fit; that of the run before if a single gap fits neither; else the lattice's;
- a row whose next one comes sooner than the run before it lets expect ends there: no row reaches into the next;
- a service's last row is as wide as those before; its only row an hour, the widest there is.

A gap therefore widens nothing, and an hourly stretch beside a minute's stays hourly.
"""

import math
from functools import cache
from typing import Any

# Steps that logging systems use; all divide an hour.
STANDARD_WIDTHS_S = (1, 2, 5, 10, 15, 20, 30, 60, 120, 180, 300, 600, 900, 1200, 1800, 3600)

_HOUR_S = 3600
# Stamps wobble by a tenth of their width, and by less than a minute: 59 missing minutes are no hour.
_WOBBLE_PARTS = 10
_MOST_WOBBLE_S = 30
# Runs on either side that make a neighbourhood, and one of how many of them may miss the lattice.
_BESIDE = 8
_STRAY_PARTS = 10
# An unbroken run is evidence of what is lost around it, not of more than that.
_MOST_SPARED = 20
# Fewer than one wrong run in the rows of a large table; less is asked where the same width stands at the same phase.
_LOG_RARE = math.log(1e6)
_LOG_RARE_SEEN = math.log(5e3)
# Counts of at most 17 runs, eight to a number that a float holds exactly: one sum over neighbours in place of eight.
_BITS = 6
_PACKED = 8


def with_interval(table: Any, *, apart: tuple[str, ...] = (), ends: str | None = None) -> Any:
    """Add ``interval_s`` to a table of ``ts`` (UTC) and ``service``.

    Parameters
    ----------
    table
        An Ibis table; one row a service and timestamp.
    apart
        Columns whose values are judged apart from each other, as services are.
    ends
        Column of the second since 1970 at which what is judged together ends: the next row would stand there.

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
    series = ["service", *apart]
    keys = [*series, "_run"]
    rows = _number_runs(table.mutate(_s=table.ts.epoch_seconds().cast("int64")), series, ends)
    runs = _fill(_stand(_describe(rows, series), series), series)
    widths = runs.select(**{f"{name}_of": runs[name] for name in keys}, interval_s=_width(runs))
    joined = rows.inner_join(widths, [rows[name] == widths[f"{name}_of"] for name in keys])
    return joined.select(*(name for name in table.columns if name != ends), "interval_s")


@cache
def interval_sql(columns: tuple[str, ...], *, table: str, apart: tuple[str, ...] = (), ends: str | None = None) -> str:
    """Write `with_interval` as DuckDB's SQL, once: composing it costs more than running it on few rows.

    Parameters
    ----------
    columns
        Names of the table's columns besides ``ts``, ``service``, `apart` and `ends`.
    table
        Its name.
    apart, ends
        As for `with_interval`.
    """
    import ibis

    # Other columns are carried through; their types do not matter to the query.
    types = dict.fromkeys((*columns, "service", *apart), "string") | {"ts": "timestamp(6)"}
    if ends is not None:
        types[ends] = "int64"
    query = with_interval(ibis.table(types, name=table), apart=apart, ends=ends)
    return str(ibis.to_sql(query, dialect="duckdb"))


def _number_runs(rows: Any, series: list[str], ends: str | None) -> Any:
    """Add the step to the next row, the standard width it is near, and the number of the run."""
    import ibis

    order = ibis.window(group_by=series, order_by="_s")
    rows = rows.mutate(
        _step=rows["_s"].lead(1).over(order) - rows["_s"], _past=rows["_s"] - rows["_s"].lag(1).over(order)
    )
    if ends is not None:
        # An end shorter off than the step before cuts the last row, as midnight cuts hours of UTC: it says nothing.
        left = rows[ends] - rows["_s"]
        rows = rows.mutate(_step=ibis.coalesce(rows["_step"], (left >= rows["_past"]).ifelse(left, None)))
    rows = rows.mutate(_near=_standard(rows["_step"]), _was=_standard(rows["_past"]))
    rows = rows.mutate(_begins=(rows["_near"] == rows["_was"]).fill_null(False).ifelse(0, 1))
    return rows.mutate(_run=rows["_begins"].sum().over(_until_here(series, "_s")))


def _describe(rows: Any, series: list[str]) -> Any:
    """One row a run: how many rows, its first second, width and step, the lattice, the share lost, and runs beside."""
    import ibis

    runs = rows.group_by(*series, "_run").aggregate(
        n=rows.count(), first=rows["_s"].min(), near=rows["_near"].min(), step=rows["_step"].max()
    )
    runs = runs.mutate(step=(runs.n > 1).ifelse(runs.near, runs.step))
    runs = runs.mutate(
        single=((runs.n == 1) & (runs.step <= _HOUR_S)).fill_null(False).ifelse(1, 0),
        whole=(runs.n > 1).ifelse(ibis.least(runs.n, _MOST_SPARED), 0),
        **_pack([_is_multiple(runs.step, w).fill_null(False).ifelse(1, 0) for w in STANDARD_WIDTHS_S]),
    )
    order = ibis.window(group_by=series, order_by="_run")
    around = ibis.window(group_by=series, order_by="_run", preceding=_BESIDE, following=_BESIDE)
    counted = [name for name in runs.columns if name.startswith("pack")]
    runs = runs.mutate(
        known=runs.step.count().over(around),
        lost=runs.single.sum().over(around) - runs.single,
        spared=runs.whole.sum().over(around) - runs.whole,
        **{name: runs[name].sum().cast("int64").over(around) for name in counted},
        **{f"near_{k}": runs.near.lag(k).over(order) for k in (1, 2, -1, -2)},
    )
    enough = runs.known - (runs.known / _STRAY_PARTS).floor().cast("int64")
    held = [(_unpack(runs, k) >= enough) & (runs.known > 0) for k in range(len(STANDARD_WIDTHS_S))]
    lattice = _first_of(list(zip(held, STANDARD_WIDTHS_S, strict=True))[::-1])
    # Losses leave runs of one step, outages single longer ones; what losses spare are runs of many.
    return runs.mutate(lattice=lattice, lost=(runs.lost + 1) / (runs.lost + 1 + runs.spared))


def _stand(runs: Any, series: list[str]) -> Any:
    r"""Add ``stands``: whether losses at random would show a run less than once in a million rows.

    With a share q of the finer rows lost, n steps of k of them have the chance :math:`((1 - q) q^{k - 1})^n`: below
    :math:`q^{(k - 1) n}`, and whatever q is below :math:`(2 k)^{-n}`. To hit one phase of k has the chance 1/k.
    """
    import ibis

    finer = [_finer(runs[f"near_{k}"], runs.near) for k in (1, 2, -1, -2)]
    beside = ibis.least(ibis.greatest(*finer[:2]), ibis.greatest(*finer[2:]))
    runs = runs.mutate(k=runs.near / ibis.greatest(runs.lattice, beside), phase=runs["first"] % runs.near)
    at_any, at_this = (2 * runs.k).ln(), -(runs.k - 1) * runs.lost.ln()
    # An outage is no loss at random: a single step does not stand however little else is lost.
    repeats = (runs.n > 1) & (runs.n * ibis.greatest(at_any, at_this) >= _LOG_RARE)
    runs = runs.mutate(
        alone=((runs.k <= 1) | repeats).fill_null(False),
        likely=(runs.n * at_any + runs.k.ln() >= _LOG_RARE_SEEN).fill_null(False),
    )
    seen = runs.alone.ifelse(1, 0).max().over(group_by=[*series, "near", "phase"]) == 1
    return runs.mutate(stands=runs.alone | (runs.likely & seen))


def _finer(beside: Any, width: Any) -> Any:
    """Return a width beside another where it is a part of it, else 1."""
    return ((beside < width) & (width % beside == 0)).fill_null(False).ifelse(beside, 1)


def _fill(runs: Any, series: list[str]) -> Any:
    """Add the widths that stand before and after, and whether the steps between the two fit either."""
    import ibis

    stands = runs.stands.ifelse(1, 0)
    runs = runs.mutate(
        piece=stands.sum().over(_until_here(series, "_run")),
        opens=runs.stands.lag(1).over(ibis.window(group_by=series, order_by="_run")).fill_null(False),
    )
    # The piece of runs from one that stands on, and the piece up to the next that does.
    runs = runs.mutate(ahead=runs.piece - stands, standing=runs.stands.ifelse(runs.near, ibis.null("int64")))
    runs = runs.mutate(
        past=runs.standing.max().over(group_by=[*series, "piece"]),
        next=runs.standing.max().over(group_by=[*series, "ahead"]),
    )
    # The first of them ends where the run before it does not go on: it is no witness of what comes after.
    later = runs.opens.ifelse(ibis.null("int64"), runs.step)
    between = ibis.window(group_by=[*series, "piece", "stands"])
    runs = runs.mutate(
        steps=runs.step.count().over(between),
        odd_past=_is_odd(runs.step, runs.past).sum().over(between),
        shortest=runs.step.min().over(between),
        steps_later=later.count().over(between),
        odd_next=_is_odd(later, runs.next).sum().over(between),
        shortest_later=later.min().over(between),
    )
    fits_past = runs.odd_past <= ibis.greatest(runs.steps / _STRAY_PARTS, 1)
    fits_past &= runs.shortest >= runs.past - _wobble(runs.past)
    fits_next = runs.odd_next <= runs.steps_later / _STRAY_PARTS
    fits_next &= runs.shortest_later >= runs.next - _wobble(runs.next)
    # The first may go on as what comes after does.
    first_fits = ((runs.next > runs.past) & _is_multiple(runs.step, runs.next)).fill_null(False)
    fits_next = (runs.steps_later == 0) | fits_next.fill_null(False)
    return runs.mutate(
        fits_past=fits_past.fill_null(False), fits_next=fits_next & runs.next.notnull() & (first_fits | ~runs.opens)
    )


def _width(runs: Any) -> Any:
    """Return each run's width."""
    import ibis

    cut_short = runs.opens & (runs.step < runs.past - _wobble(runs.past)).fill_null(False)
    width = _first_of(
        [
            (runs.stands, runs.near),
            (cut_short, runs.step),
            (runs.fits_past & runs.fits_next, ibis.greatest(runs.past, runs.next)),
            (runs.fits_past | (runs.steps == 0) | (runs.opens & ~runs.fits_next), runs.past),
            (runs.fits_next, runs.next),
        ]
    )
    # Of the lattice nothing is known where no step is.
    lattice = ibis.least(runs.lattice, ibis.coalesce(runs.step, runs.lattice))
    return ibis.greatest(ibis.coalesce(width, lattice, ibis.literal(_HOUR_S, "int64")), 1)


def _is_odd(step: Any, width: Any) -> Any:
    """One where a step is no multiple of a width, else nought."""
    return (~_is_multiple(step, width)).fill_null(False).ifelse(1, 0)


def _standard(step: Any) -> Any:
    """Return the standard width that a step is near; null where none is."""
    near = [((step >= w - _wobble(w)) & (step <= w + _wobble(w)), w) for w in STANDARD_WIDTHS_S]
    return _first_of(near)


def _is_multiple(step: Any, width: Any) -> Any:
    """Whether a step is a multiple of a width, but for a wobble."""
    return (step >= width - _wobble(width)) & ((step + _wobble(width)) % width <= 2 * _wobble(width))


def _wobble(width: Any) -> Any:
    """Return by how many seconds a step may miss a width."""
    import ibis

    if isinstance(width, int):
        return min(width // _WOBBLE_PARTS, _MOST_WOBBLE_S)
    return ibis.least((width / _WOBBLE_PARTS).floor().cast("int64"), _MOST_WOBBLE_S)


def _pack(flags: list[Any]) -> dict[str, Any]:
    """Pack zeros and ones so that a sum of the packs holds the sum of each."""
    packs = {}
    for at in range(0, len(flags), _PACKED):
        packs[f"pack{at // _PACKED}"] = sum(flag * (1 << _BITS * k) for k, flag in enumerate(flags[at : at + _PACKED]))
    return packs


def _unpack(runs: Any, place: int) -> Any:
    """Return the sum of the flags of one place."""
    pack = runs[f"pack{place // _PACKED}"]
    return (pack / (1 << _BITS * (place % _PACKED))).floor().cast("int64") % (1 << _BITS)


def _until_here(series: list[str], order: str) -> Any:
    import ibis

    return ibis.window(group_by=series, order_by=order, preceding=None, following=0)


def _first_of(branches: list[tuple[Any, Any]]) -> Any:
    """Return the first branch that holds, as int64; null where none does."""
    import ibis

    return ibis.cases(*branches, else_=None).cast("int64")
