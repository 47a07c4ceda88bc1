"""The Parquet tables of a workspace: what is there, read as of a day."""

# ruff: noqa: S608 - paths are quoted; a file's content never enters a query.
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pandas as pd

from capacity.errors import InputError, Problem
from capacity.history import rollup
from capacity.history.calls import calls_per_request, empty_calls
from capacity.history.clock import start_of_day
from capacity.history.contracts import CONTRACTS, contract_of
from capacity.history.daily_activity import DailyActivity, empty_frame, tidy
from capacity.history.engine import connect, quiet
from capacity.history.ingest_report import IngestReport
from capacity.history.ingestion import TABLES, write_frame
from capacity.history.merge import parquet_sql
from capacity.history.tables import Part, read_parts, unreadable_table
from capacity.history.traffic import Traffic, empty_table


class Store:
    """The tables below ``data/tables`` of a workspace.

    Readers never wait for a writer and always see a whole table. With another engine than ``duckdb``, traffic is read
    there, from a table ``traffic`` in the columns of the contract (``ts`` in UTC, or aware), and nothing is copied.

    Parameters
    ----------
    root
        The workspace's folder.
    timezone
        The workspace's zone.
    engine
        ``duckdb``, or a connection URL that Ibis takes, such as ``duckdb:///logs.duckdb``.

    Examples
    --------
    >>> import tempfile
    >>> store = Store(tempfile.mkdtemp(), timezone="Asia/Shanghai")
    >>> _ = store.write("daily_activity", pd.DataFrame({"date": ["2026-11-10"], "dau": [900], "dat": [80]}))
    >>> store.daily_activity()
    <DailyActivity: 2026-11-10 to 2026-11-10, 0 segments, with a de-duplicated total>
    >>> store.first_unknown_day()
    datetime.date(2026, 11, 11)
    """

    def __init__(self, root: str | Path, *, timezone: str = "UTC", engine: str = "duckdb") -> None:
        self.root = Path(root)
        self.timezone = timezone
        self.engine = engine

    def __repr__(self) -> str:
        rows = ", ".join(f"{table} {sum(p.rows for p in self._parts(table)):,} rows" for table in CONTRACTS)
        return f"<Store: {rows}>"

    def write(self, table: str, frame: pd.DataFrame, *, progress: Callable[[str], None] | None = None) -> IngestReport:
        """Take a frame in as `ingest` takes a file; no row of it may break the contract.

        Raises
        ------
        InputError
            If columns are missing or any row is rejected; the table is then as before.
        """
        return write_frame(table, frame, root=self.root, timezone=self.timezone, progress=progress)

    def first_unknown_day(self) -> date | None:
        """Return the day after the last day of daily activity; None without any."""
        parts = self._parts("daily_activity")
        last = max((part.last_us for part in parts if part.last_us is not None), default=None)
        return None if last is None else date(1970, 1, 1) + timedelta(days=last // 86_400_000_000 + 1)

    def daily_activity(self, as_of: date | None = None, country: str | None = None) -> DailyActivity:
        """Return DAU and DAT by day and segment, days at or after `as_of` left out."""
        frame = self._read("daily_activity")
        rows = empty_frame() if frame is None else tidy(frame, as_of)
        return DailyActivity(rows, self.timezone, country, as_of)

    def traffic(self, as_of: date | None = None) -> Traffic:
        """Return requests by service and interval; lazy, rows at or after `as_of` are invisible."""
        return Traffic(self._open_traffic, timezone=self.timezone, as_of=as_of)

    def calls(self, as_of: date | None = None) -> pd.DataFrame:
        """Return who calls whom how often, over all windows that end before `as_of`.

        Returns
        -------
        DataFrame
            One row a caller and callee: caller, callee, calls (retries counted), retries (NaN when never told),
            per_request (mean calls without retries per request to the caller in the same windows; NaN when the
            caller's traffic is not known there), window_start, window_end.
        """
        rows = self._read("calls")
        if rows is None:
            return empty_calls()
        for name in ("window_start", "window_end"):
            rows[name] = pd.to_datetime(rows[name], utc=True).astype("datetime64[us, UTC]").dt.tz_convert(self.timezone)
        if as_of is not None:
            midnight = pd.Timestamp(start_of_day(as_of, self.timezone))
            rows = rows[rows["window_end"].isna() | (rows["window_end"] <= midnight)]
        return calls_per_request(rows.reset_index(drop=True), self.traffic(as_of))

    def sql(self, query: str, as_of: date | None = None) -> pd.DataFrame:
        """Answer one question in SQL on the tables; see :func:`capacity.history.at_hand.run_query`."""
        from capacity.history.at_hand import run_query

        parts = {table: (self._folder(table), self._parts(table)) for table in CONTRACTS}
        return run_query(query, parts=parts, timezone=self.timezone, as_of=as_of)

    def inputs(self, as_of: date | None = None) -> list[dict[str, object]]:
        """Return every file of the tables: ``path`` relative to the workspace, ``sha256``, ``rows``.

        Parameters
        ----------
        as_of
            Files that hold nothing before this day are left out.
        """
        stop = None if as_of is None else int(start_of_day(as_of, self.timezone).timestamp()) * 1_000_000
        return [
            {"path": (TABLES / table / part.file).as_posix(), "sha256": part.sha256, "rows": part.rows}
            for table in CONTRACTS
            for part in self._parts(table)
            if stop is None or part.first_us is None or part.first_us < stop
        ]

    def _folder(self, table: str) -> Path:
        return self.root / TABLES / contract_of(table).table

    def _parts(self, table: str) -> tuple[Part, ...]:
        return read_parts(self._folder(table))

    def _read(self, table: str) -> pd.DataFrame | None:
        """Read a small table whole."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        parts = self._parts(table)
        if not parts:
            return None
        try:
            tables = [pq.read_table(self._folder(table) / part.file, partitioning=None) for part in parts]
        except (OSError, pa.ArrowException) as error:
            raise unreadable_table(table, str(error)) from None
        frame: pd.DataFrame = pa.concat_tables(tables).to_pandas()
        return frame

    def _open_traffic(self) -> Any:
        with quiet():
            if self.engine != "duckdb":
                return rollup.complete(_table_elsewhere(self.engine))
            parts = self._parts("traffic")
            if not parts:
                return empty_table()
            backend = connect()
            backend.con.execute(f"CREATE VIEW traffic AS SELECT * FROM {parquet_sql(self._folder('traffic'), parts)}")
            return backend.table("traffic")


def _table_elsewhere(engine: str) -> Any:
    import ibis

    try:
        return ibis.connect(engine).table("traffic")
    except Exception as error:  # noqa: BLE001 - every engine has exceptions of its own
        # A connection URL may hold a password: only its kind is shown.
        kind, said = engine.partition(":")[0], str(error).replace(engine, "…")
        raise InputError(
            "the engine that holds the traffic does not give it",
            problems=[
                Problem(
                    "capacity.toml engine", f"{kind}: {type(error).__name__} {said}", "a connection and a table traffic"
                )
            ],
            remedy="see that it is spelt as Ibis takes it, that its driver is installed and that it answers",
        ) from None
