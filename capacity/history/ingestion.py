"""Take a source into a table: read, check, settle, merge, tell."""

# ruff: noqa: S608 - names come from the contracts, paths are quoted; a file's content never enters a query.
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from capacity.display.escape import safe_slug
from capacity.errors import InputError, Problem
from capacity.history.clock import read_zone
from capacity.history.contracts import Contract, check_columns, contract_of
from capacity.history.engine import connect, quiet, quote_name, quote_text
from capacity.history.ingest_report import IngestReport
from capacity.history.inspection import Inspection, inspect_calls, inspect_daily_activity, inspect_traffic
from capacity.history.intake import Intake, Settled
from capacity.history.interval import interval_sql
from capacity.history.merge import Merged, merge
from capacity.history.readers import RawRows, read_rows, rows_of_table
from capacity.history.sources import Source, find_files, inspect_file, label_of
from capacity.history.tables import writing

Say = Callable[[str], None]
TABLES = Path("data") / "tables"
REJECTED = Path("data") / "rejected"


def ingest(
    source: str | Path,
    *,
    table: str,
    workspace_dir: str | Path,
    timezone: str,
    source_timezone: str | None = None,
    progress: Say | None = None,
) -> IngestReport:
    r"""Check a source against a table's contract and take it in.

    Days of a service (segment, caller) that the source has replace the same days of that service in the table;
    everything else stays. The table changes in one step, at the end: whoever reads sees it before or after, and an
    ingest that fails or is killed changes nothing. Rows that break the contract are counted by reason and written
    with file and line below ``data/rejected/TABLE/``.

    Parameters
    ----------
    source
        A file, a folder or a glob: CSV (comma, semicolon, tab), Parquet, JSON lines, also packed with gzip; for
        ``calls`` also Jaeger's and Zipkin's dependency JSON.
    table
        ``daily_activity``, ``traffic`` or ``calls``.
    workspace_dir
        The workspace's folder.
    timezone
        The workspace's zone: whose days count.
    source_timezone
        Zone of times without an offset in this source; the workspace's when left out.
    progress
        Told what is being done.

    Returns
    -------
    IngestReport
        Rows kept and rejected, days replaced, gaps, duplicates, clock changes, the busiest hour, warnings.

    Raises
    ------
    InputError
        If nothing is found, a required column is missing, a file is empty, broken or has no row that keeps the
        contract: all problems at once. The tables are then as before.
    UsageError
        If there is no such table.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "days.csv").write_text("date,dau,dat\n2026-11-10,900,80\n2026-11-11,2000,many\n")
    >>> report = ingest(folder / "days.csv", table="daily_activity", workspace_dir=folder, timezone="Asia/Shanghai")
    >>> report.rows_kept, report.rejected["reason"].tolist()
    (1, ['dat: not a number'])
    """
    contract = contract_of(table)
    say = progress or _say_nothing
    read_zone(timezone)
    read_zone(source_timezone or timezone)
    sources, warnings = _open_sources(source, contract)
    root = Path(workspace_dir)
    folder = root / TABLES / table
    with writing(folder, say=say) as staging:
        backend = connect(spill_dir=staging / "spill")
        try:
            intake = Intake(backend.con, contract, timezone=timezone, source_timezone=source_timezone or timezone)
            for found in sources:
                say(f"Reading {found.label}")
                rows = read_rows(found, contract=contract)
                intake.add(rows, found.label)
                warnings += rows.notes
            return _finish(
                backend,
                intake,
                root=root,
                staging=staging,
                name=str(source),
                warnings=warnings,
                say=say,
                files=[found.path for found in sources],
            )
        finally:
            backend.disconnect()


def write_frame(
    table: str, frame: pd.DataFrame, *, root: Path, timezone: str, progress: Say | None = None
) -> IngestReport:
    """Take a frame in as `ingest` takes a file; no row of it may break the contract.

    Raises
    ------
    InputError
        If columns are missing or any row is rejected; the tables are then as before.
    """
    contract = contract_of(table)
    folder = root / TABLES / table
    rows, warnings = rows_of_frame(frame, contract)
    with writing(folder, say=progress) as staging:
        backend = connect(spill_dir=staging / "spill")
        try:
            intake = Intake(backend.con, contract, timezone=timezone, source_timezone=timezone)
            intake.add(rows, f"frame for {table}")
            return _finish(
                backend,
                intake,
                root=root,
                staging=staging,
                name=f"frame for {table}",
                warnings=warnings,
                say=progress or _say_nothing,
                files=[],
                trusted=True,
            )
        finally:
            backend.disconnect()


def settle_frame(frame: pd.DataFrame, contract: Contract, *, timezone: str) -> Any:
    """Check a frame as a table's rows and return them as an Ibis table in memory; traffic with its intervals.

    Raises
    ------
    InputError
        If columns are missing or any row is rejected.
    """
    rows, _ = rows_of_frame(frame, contract)
    backend = connect()
    intake = Intake(backend.con, contract, timezone=timezone, source_timezone=timezone)
    intake.add(rows, f"frame for {contract.table}")
    intake.settle()
    if reasons := intake.reasons():
        refuse(f"frame for {contract.table}", reasons)
    query = "SELECT * FROM kept"
    if contract.table == "traffic":
        query = interval_sql(tuple(n for n in contract.names if n not in {"ts", "service"}), table="kept")
    backend.con.execute(f"CREATE TABLE held AS {query}")
    for table in ("kept", "staged", "verdicts", "replaced", "rejected", "repeats"):
        backend.con.execute(f"DROP TABLE {table}")
    with quiet():
        return backend.table("held")


def rows_of_frame(frame: pd.DataFrame, contract: Contract) -> tuple[RawRows, list[str]]:
    """Return a frame's rows as a stream, its missing values unknown.

    Raises
    ------
    InputError
        If columns are missing or it has no row.
    """
    where = f"frame for {contract.table}"
    problems, warnings = check_columns([str(name) for name in frame.columns], contract=contract, where=where)
    if frame.empty and not problems:
        problems = [Problem(where, "a frame without rows", "rows")]
    if problems:
        raise InputError(f"{where} breaks the contract", problems=problems)
    known = frame[[name for name in contract.names if name in frame.columns]]
    columns = {name: _arrow_of(known[name]) for name in known.columns}
    return rows_of_table(pa.table(columns), contract=contract), warnings


def _arrow_of(series: "pd.Series[Any]") -> pa.Array:
    try:
        return pa.Array.from_pandas(series)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        # Cells of several types: as text, each is judged on its own.
        return pa.array([None if pd.isna(cell) else str(cell) for cell in series], pa.string())


def _open_sources(source: str | Path, contract: Contract) -> tuple[list[Source], list[str]]:
    files, warnings = find_files(source)
    sources: list[Source] = []
    problems: list[Problem] = []
    for file in files:
        found = inspect_file(file, contract=contract)
        if isinstance(found, Problem):
            problems.append(found)
            continue
        missing, ignored = check_columns(found.columns, contract=contract, where=found.label)
        problems += missing
        warnings += ignored
        sources.append(found)
    if problems:
        raise InputError(
            f"{label_of(files)} cannot be taken in as {contract.table}; nothing was changed",
            problems=problems,
            remedy="docs/formats.md has the contract of every table, with an example",
        )
    return sources, warnings


def _finish(
    backend: Any,
    intake: Intake,
    *,
    root: Path,
    staging: Path,
    name: str,
    warnings: list[str],
    say: Say,
    files: Sequence[Path],
    trusted: bool = False,
) -> IngestReport:
    contract, con = intake.contract, backend.con
    folder = root / TABLES / contract.table
    say("Checking rows")
    settled = intake.settle()
    reasons = intake.reasons()
    if trusted and reasons:
        refuse(name, reasons)
    path = _write_rejected(intake, root / REJECTED / contract.table, name) if reasons else None
    intake.require_rows(name)
    say(f"Writing {settled.rows_kept:,} rows")
    merged = merge(con, contract, folder, staging, timezone=intake.timezone)
    say("Inspecting")
    # A program's own frame is not a log that someone exported: nobody is there to read what was found.
    inspection = Inspection(pd.DataFrame()) if trusted else _inspect(con, contract, folder, merged, intake.timezone)
    days = con.execute("SELECT count(DISTINCT _day), min(_day), max(_day) FROM replaced").fetchall()[0]
    return IngestReport(
        table=contract.table,
        source=name,
        files=len(files),
        settled=settled,
        rejected=pd.DataFrame(reasons, columns=["reason", "rows", "first_line"]),
        rejected_path=None if path is None else path.relative_to(root),
        days=int(days[0]),
        first_day=days[1],
        last_day=days[2],
        rows_replaced=merged.rows_replaced,
        inspection=inspection,
        timezone=intake.timezone,
        timezone_assumed=intake.source_timezone,
        warnings=(*warnings, *_merge_warnings(contract, merged), *_clock_warnings(settled), *inspection.warnings),
    )


def refuse(name: str, reasons: list[tuple[str, int, str]]) -> None:
    """Raise what rejected rows amount to where none may be.

    Raises
    ------
    InputError
        Always.
    """
    problems = [Problem(first, f"{n:,} rows: {reason}", "rows that keep the contract") for reason, n, first in reasons]
    raise InputError(f"{name} breaks the contract", problems=problems[:30])


def _inspect(con: Any, contract: Contract, folder: Path, merged: Merged, timezone: str) -> Inspection:
    if contract.table == "traffic":
        return inspect_traffic(con, folder, merged.parts, timezone=timezone)
    return inspect_daily_activity(con) if contract.table == "daily_activity" else inspect_calls(con)


def _write_rejected(intake: Intake, folder: Path, name: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{safe_slug(Path(name).name)}.csv"
    aside = folder / f".{path.name}.new"
    files = ", ".join(f"({index}, {quote_text(label)})" for index, label in enumerate(intake.labels))
    cells = ", ".join(f"_raw.{quote_name(n)} AS {quote_name(n)}" for n in intake.contract.names)
    intake.con.execute(f"""
        COPY (SELECT f.file, r._line AS line, r.reason, {cells}, r._raw."_text" AS "text"
              FROM rejected r JOIN (VALUES {files}) f(index, file) ON f.index = r._file ORDER BY r._file, r._line)
        TO {quote_text(aside)} (FORMAT csv, HEADER)""")
    aside.replace(path)
    return path


def _merge_warnings(contract: Contract, merged: Merged) -> list[str]:
    entity = contract.entity[0]
    warnings = []
    if merged.stale:
        shown = ", ".join(merged.stale[:5]) + (f" and {len(merged.stale) - 5} more" if len(merged.stale) > 5 else "")
        warnings.append(
            f"on replaced days the table keeps {len(merged.stale)} {entity}s that this source does not have: {shown}"
        )
    if merged.days_shrunk:
        warnings.append(
            f"on {merged.days_shrunk:,} days of a {entity} the replaced rows reached an hour or more further than "
            "this source does: a source should hold whole days"
        )
    return warnings


def _clock_warnings(settled: Settled) -> list[str]:
    if not settled.repeated_alone:
        return []
    said = f"{settled.repeated_alone:,} rows stand alone at local times that came twice (clock change)"
    return [f"{said}: taken as the first pass; write offsets to be sure"]


def _say_nothing(_: str) -> None:
    return None
