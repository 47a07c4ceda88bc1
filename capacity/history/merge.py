"""New rows into a table: days of the services (segments, callers) in the source replace those of the table."""

# ruff: noqa: S608 - names come from the contracts, paths are quoted; a file's content never enters a query.
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from capacity.history.clock import read_clock, start_of_day
from capacity.history.contracts import Contract
from capacity.history.engine import quote_name, quote_text
from capacity.history.interval import interval_sql
from capacity.history.tables import Part, adopt, publish, read_parts

_ROW_GROUP = 122_880
_BATCH_ROWS = 4_000_000
_WHOLE = "all"


@dataclass(frozen=True)
class Merged:
    """What a merge did.

    Parameters
    ----------
    rows_replaced
        Rows of the table that gave way.
    days_shrunk
        Days of a service on which the table reached an hour or more further than the source does.
    stale
        Services (segments, callers) that the table keeps on replaced days but the source does not have.
    parts
        The new parts.
    """

    rows_replaced: int
    days_shrunk: int
    stale: tuple[str, ...]
    parts: tuple[Part, ...]


def merge(con: Any, contract: Contract, folder: Path, staging: Path, *, timezone: str) -> Merged:
    """Merge the intake's ``kept`` and ``replaced`` into the table of `folder` and publish it.

    Parameters
    ----------
    con
        The DuckDB connection that holds the intake's tables.
    contract
        Of the table.
    folder, staging
        The table's folder and where new parts are written first.
    timezone
        Whose months the parts are.
    """
    old = read_parts(folder)
    touched = [part for part in old if _overlaps(con, contract, part)]
    _view_old(con, contract, folder, touched, timezone)
    differences = _compare(con, contract)
    query = _stored_sql(contract)
    parts = []
    for stems in _batches(con, contract):
        _gather(con, contract, stems, query, timezone)
        parts += [_write_part(con, contract, folder, staging, stem) for stem in stems]
    publish(folder, [part for part in old if part not in touched] + parts)
    return Merged(**differences, parts=tuple(parts))


def _instant_us(contract: Contract) -> str:
    return f"epoch_us({contract.clock}::TIMESTAMP)"


def _overlaps(con: Any, contract: Contract, part: Part) -> bool:
    if contract.table != "traffic" or part.first_us is None or part.last_us is None:
        return True
    # A replaced day reaches a day beyond the first and last row of the source, at most.
    day = 86_400_000_000
    first, last = con.execute(
        f"SELECT min({_instant_us(contract)}), max({_instant_us(contract)}) FROM kept"
    ).fetchall()[0]
    return bool(part.first_us <= last + day and part.last_us >= first - day)


def _view_old(con: Any, contract: Contract, folder: Path, parts: Sequence[Part], timezone: str) -> None:
    """View ``old``: the touched parts' rows with their local day, in the types of ``kept``."""
    if not parts:
        con.execute("CREATE OR REPLACE VIEW old AS SELECT * FROM kept WHERE FALSE")
        return
    instants = {column.name for column in contract.columns if column.kind == "instant"}
    columns = [
        f"make_timestamp(epoch_us({name})) AS {name}" if name in instants else quote_name(name)
        for name in contract.names
    ]
    day = contract.clock
    if day in instants:
        from datetime import UTC, datetime

        known = [us for part in parts for us in (part.first_us, part.last_us) if us is not None] or [0]
        first, last = (datetime.fromtimestamp(us / 1e6, UTC) for us in (min(known), max(known)))
        offset = read_clock(timezone, first=first, last=last).offset_sql(f"epoch({day})")
        day = f"make_date(CAST(floor((epoch({day}) + {offset}) / 86400) AS INTEGER))"
    con.execute(
        f"CREATE OR REPLACE VIEW old AS SELECT {', '.join(columns)}, {day} AS _day FROM {parquet_sql(folder, parts)}"
    )


def parquet_sql(folder: Path, parts: Sequence[Part]) -> str:
    """Write the reading of parts as SQL."""
    files = ", ".join(quote_text((folder / part.file).absolute()) for part in parts)
    return f"read_parquet([{files}])"


def _same_day(contract: Contract, one: str, other: str) -> str:
    columns = [*contract.entity, "_day"]
    return " AND ".join(f"{one}.{quote_name(c)} IS NOT DISTINCT FROM {other}.{quote_name(c)}" for c in columns)


def _compare(con: Any, contract: Contract) -> dict[str, Any]:
    entity = ", ".join(quote_name(name) for name in contract.entity)
    gone = con.execute(f"SELECT count(*) FROM old SEMI JOIN replaced r ON {_same_day(contract, 'old', 'r')}").fetchall()
    stale = con.execute(f"""
        SELECT DISTINCT {entity} FROM old WHERE _day IN (SELECT _day FROM replaced)
        EXCEPT SELECT DISTINCT {entity} FROM kept ORDER BY ALL""").fetchall()
    shrunk = 0
    if contract.table == "traffic":
        span = f"SELECT {entity}, _day, min(ts) AS first, max(ts) AS last FROM"
        shrunk = con.execute(f"""
            SELECT count(*) FROM ({span} old GROUP BY ALL) o JOIN ({span} kept GROUP BY ALL) k
            ON {_same_day(contract, "o", "k")}
            WHERE o.first < k.first - INTERVAL 1 HOUR OR o.last > k.last + INTERVAL 1 HOUR""").fetchall()[0][0]
    return {
        "rows_replaced": int(gone[0][0]),
        "days_shrunk": int(shrunk),
        "stale": tuple(str(row[0]) for row in stale),
    }


def _stem_sql(contract: Contract) -> str:
    return "strftime(_day, '%Y-%m')" if contract.table == "traffic" else quote_text(_WHOLE)


def _batches(con: Any, contract: Contract) -> list[list[str]]:
    """Months to write, together as long as they are small: each query has its price."""
    stem = _stem_sql(contract)
    rows = con.execute(f"""
        SELECT stem, sum(n) FROM (SELECT {stem} AS stem, count(*) AS n FROM kept GROUP BY ALL
                                  UNION ALL SELECT {stem}, count(*) FROM old GROUP BY ALL)
        GROUP BY stem ORDER BY stem""").fetchall()
    batches: list[list[str]] = []
    held = _BATCH_ROWS
    for name, n in rows:
        if held + n > _BATCH_ROWS:
            batches.append([])
            held = 0
        batches[-1].append(str(name))
        held += n
    return batches


def _stored_sql(contract: Contract) -> str:
    """Write the query from ``merged`` to what is stored: instants aware, traffic with its intervals."""
    names = list(contract.names)
    inner = "SELECT * FROM merged"
    if contract.table == "traffic":
        # Months apart, so that a part's content does not hang on which others are written with it.
        carried = tuple(name for name in names if name not in {"ts", "service"})
        inner = interval_sql(carried, table="merged", apart=("_stem",), ends="_ends_s")
        names.insert(2, "interval_s")
    instants = {column.name for column in contract.columns if column.kind == "instant"}
    columns = [f"timezone('UTC', {n}) AS {n}" if n in instants else quote_name(n) for n in names]
    return f"SELECT {', '.join(columns)}, _stem FROM ({inner})"


def _gather(con: Any, contract: Contract, stems: Sequence[str], query: str, timezone: str) -> None:
    """Table ``stored``: what the new parts of these months hold."""
    stem = _stem_sql(contract)
    added = f"{stem} AS _stem"
    if contract.table == "traffic":
        added += f", {_month_end_sql(stems, stem, timezone)} AS _ends_s"
    within = f"{stem} IN ({', '.join(quote_text(name) for name in stems)})"
    con.execute(f"""
        CREATE OR REPLACE TABLE merged AS
        SELECT * EXCLUDE (_day), {added} FROM kept WHERE {within}
        UNION ALL
        SELECT * EXCLUDE (_day), {added}
        FROM (SELECT * FROM old WHERE {within}) o ANTI JOIN replaced r ON {_same_day(contract, "o", "r")}""")
    con.execute(f"CREATE OR REPLACE TABLE stored AS {query}")


def _month_end_sql(stems: Sequence[str], stem: str, timezone: str) -> str:
    """Write the second since 1970 at which each of these months ends."""
    ends = ((name, start_of_day(_next_month(name), timezone)) for name in stems)
    whens = " ".join(f"WHEN {quote_text(name)} THEN {int(end.timestamp())}" for name, end in ends)
    return f"(CASE {stem} {whens} END)::BIGINT"


def _next_month(stem: str) -> date:
    year, month = (int(part) for part in stem.split("-"))
    return date(year + month // 12, month % 12 + 1, 1)


def _write_part(con: Any, contract: Contract, folder: Path, staging: Path, stem: str) -> Part:
    rows = f"FROM stored WHERE _stem = {quote_text(stem)}"
    order = ", ".join(quote_name(name) for name in contract.key)
    file = staging / f"{stem}.parquet"
    con.execute(f"""
        COPY (SELECT * EXCLUDE (_stem) {rows} ORDER BY {order})
        TO {quote_text(file)} (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {_ROW_GROUP})""")
    instant = _instant_us(contract)
    n, first, last = con.execute(f"SELECT count(*), min({instant}), max({instant}) {rows}").fetchall()[0]
    return adopt(folder, file, stem=stem, rows=int(n), first_us=first, last_us=last)
