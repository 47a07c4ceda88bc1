"""SQL on a workspace's tables, at hand in a notebook: reading only, and nothing of a day that is not known."""

# ruff: noqa: S608 - names come from the contracts, paths and moments are quoted; the query is the analyst's own.
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd

from capacity.errors import InputError, UsageError
from capacity.history.clock import start_of_day
from capacity.history.contracts import CONTRACTS
from capacity.history.engine import connect, quote_name, quote_text
from capacity.history.merge import parquet_sql
from capacity.history.tables import Part

MOST_ROWS = 1_000_000


def run_query(
    query: str, *, parts: Mapping[str, tuple[Path, Sequence[Part]]], timezone: str, as_of: date | None
) -> pd.DataFrame:
    """Answer one question in SQL.

    Parameters
    ----------
    query
        One statement that reads; ``daily_activity``, ``traffic`` and ``calls`` are its tables.
    parts
        Folder and files by table.
    timezone
        Of the workspace: times show in it.
    as_of
        Rows of this day or later are not there.

    Raises
    ------
    UsageError
        If it is not one statement that reads, or more than a million rows would come back.
    InputError
        If the engine refuses it.
    """
    import duckdb

    backend = connect()
    con = backend.con
    try:
        for table, (folder, files) in parts.items():
            con.execute(_view(table, folder, files, timezone=timezone, as_of=as_of))
        con.execute(f"SET TimeZone = {quote_text(timezone)}")
        folders = ", ".join(quote_text(f"{folder.absolute()}/") for folder, _ in parts.values())
        con.execute(f"SET allowed_directories = [{folders}]")
        con.execute("SET enable_external_access = false")
        con.execute("SET lock_configuration = true")
        _only_reads(con, query)
        frame: pd.DataFrame = (
            con.sql(f"SELECT * FROM ({query.strip().rstrip(';')}\n) LIMIT {MOST_ROWS + 1}").to_arrow_table().to_pandas()
        )
    except duckdb.Error as error:
        raise InputError(
            f"the query is refused: {str(error).splitlines()[0]}",
            remedy=f"its tables are {', '.join(CONTRACTS)}; docs/formats.md has their columns",
        ) from None
    finally:
        backend.disconnect()
    if len(frame) > MOST_ROWS:
        raise UsageError(f"the query gives more than {MOST_ROWS:,} rows", remedy="group or limit it")
    return frame


def _only_reads(con: Any, query: str) -> None:
    import duckdb

    statements = con.extract_statements(query)
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise UsageError(
            "expected one statement that reads, such as SELECT service, sum(requests) FROM traffic GROUP BY ALL"
        )


def _view(table: str, folder: Path, files: Sequence[Part], *, timezone: str, as_of: date | None) -> str:
    contract = CONTRACTS[table]
    names = ", ".join(quote_name(name) for name in contract.names)
    if not files:
        columns = ", ".join(f"NULL AS {quote_name(name)}" for name in contract.names)
        return f"CREATE VIEW {quote_name(table)} AS SELECT {columns} WHERE false"
    clock = quote_name("window_end" if table == "calls" else contract.clock)
    until = "<=" if table == "calls" else "<"
    known = "true"
    if as_of is not None:
        known = f"({clock} IS NULL OR {clock} {until} {_before(contract.clock, as_of, timezone)})"
    return f"CREATE VIEW {quote_name(table)} AS SELECT {names} FROM {parquet_sql(folder, files)} WHERE {known}"


def _before(clock: str, as_of: date, timezone: str) -> str:
    if clock == "date":
        return f"DATE {quote_text(as_of.isoformat())}"
    return f"TIMESTAMPTZ {quote_text(start_of_day(as_of, timezone).isoformat())}"
