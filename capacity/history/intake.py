"""Rows on their way in: read by the contract, placed in UTC, duplicates settled; what is left out is told.

The rules for what a source leaves open:

- a time with an offset is that instant; one without is wall time of the source's zone;
- a wall time that comes twice (clock back): the first row of a key is the first pass, the second the second; a row
  that stands alone is the first pass;
- a wall time that does not exist (clock forward) is rejected: the source is probably in another zone;
- rows of one key that are equal are one row; rows of one key that differ are all rejected, for nothing tells which
  is right (often they are hosts that should be summed);
- rows of one service that are regularly more than an hour apart are rejected: no interval is that long.
"""

# ruff: noqa: S608 - names come from the contracts, texts are quoted; a file's content never enters a query.
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from capacity.errors import InputError
from capacity.history.clock import Clock, read_clock
from capacity.history.contracts import Contract
from capacity.history.engine import quote_name, quote_text
from capacity.history.parsing import parse_sql, typed_columns
from capacity.history.readers import RawRows

LONGEST_INTERVAL_S = 3600
_REGULAR_SHARE = 0.9


@dataclass(frozen=True)
class Settled:
    """What became of a source's rows.

    Parameters
    ----------
    rows_read, rows_kept
        Without blank rows.
    identical_duplicates
        Rows left out since an equal one was kept.
    with_offset, without_offset
        Rows whose time said its offset, and not.
    repeated_first, repeated_second, repeated_alone
        Rows at wall times that come twice: placed in the first pass, in the second, and those that stood alone.
    """

    rows_read: int
    rows_kept: int
    identical_duplicates: int
    with_offset: int = 0
    without_offset: int = 0
    repeated_first: int = 0
    repeated_second: int = 0
    repeated_alone: int = 0


class Intake:
    """Collects raw rows and settles them into the tables ``kept``, ``rejected`` and ``replaced``.

    Parameters
    ----------
    con
        A DuckDB connection; the tables are made in it.
    contract
        What the rows must be.
    timezone
        Whose days they are put on.
    source_timezone
        Zone of times without an offset.
    """

    def __init__(self, con: Any, contract: Contract, *, timezone: str, source_timezone: str) -> None:
        self.con = con
        self.contract = contract
        self.timezone = timezone
        self.source_timezone = source_timezone
        self.labels: list[str] = []
        self.instants = [column.name for column in contract.columns if column.kind == "instant"]

    def add(self, rows: RawRows, label: str) -> None:
        """Read a file's rows by the contract.

        Raises
        ------
        InputError
            If the file breaks off.
        """
        import duckdb

        self.con.register("raw_rows", rows.reader())
        types = dict(self.con.execute("SELECT column_name, column_type FROM (DESCRIBE raw_rows)").fetchall())
        query = parse_sql("raw_rows", types, contract=self.contract, file=len(self.labels), as_json=rows.as_json)
        verb = "INSERT INTO staged" if self.labels else "CREATE TABLE staged AS"
        try:
            self.con.execute(f"{verb} {query}")
        except duckdb.Error:
            if rows.failure is not None:
                raise rows.failure from None
            raise
        finally:
            self.con.unregister("raw_rows")
        self.labels.append(label)

    def settle(self) -> Settled:
        """Place and compare the rows; afterwards the three tables are there."""
        clock, home = self._clocks()
        self._place(clock)
        repeated = self._number_repeats()
        self._judge_duplicates()
        if self.contract.table == "traffic":
            self._judge_wide_intervals()
        self._split(home)
        identical = self._count("verdicts", "verdict IS NULL")
        return Settled(
            rows_read=self._count("staged"),
            rows_kept=self._count("kept"),
            identical_duplicates=identical,
            **self._count_offsets(),
            **repeated,
        )

    def _count(self, table: str, where: str = "TRUE") -> int:
        return int(self.con.execute(f"SELECT count(*) FROM {table} WHERE {where}").fetchall()[0][0])

    def _clocks(self) -> tuple[Clock | None, Clock | None]:
        if not self.instants:
            return None, None
        columns = [f"min(epoch({name}::TIMESTAMP)), max(epoch({name}::TIMESTAMP))" for name in self.instants]
        query = f"SELECT {', '.join(columns)} FROM staged WHERE _reason IS NULL"
        seconds = [value for value in self.con.execute(query).fetchall()[0] if value is not None] or [0.0]
        span = {
            "first": datetime.fromtimestamp(min(seconds), UTC),
            "last": datetime.fromtimestamp(max(seconds), UTC),
        }
        return read_clock(self.source_timezone, **span), read_clock(self.timezone, **span)

    def _place(self, clock: Clock | None) -> None:
        """View ``placed``: instants in UTC, and for the table's clock the other reading of a repeated time."""
        columns, missing = [], []
        for name in typed_columns(self.contract):
            if name in self.instants and clock is not None:
                wall = f"(epoch_us({name}) // 1000000)"
                offset = f"coalesce({name}_offset_s, {clock.wall_offset_sql(wall)})"
                columns.append(f"make_timestamp(epoch_us({name}) - 1000000::BIGINT * ({offset})) AS {name}")
                missing.append(f"({name}_offset_s IS NULL AND {clock.missing_sql(wall)})")
            elif not name.endswith("_offset_s"):
                columns.append(quote_name(name))
        second = "NULL"
        if self.contract.clock in self.instants and clock is not None:
            name = self.contract.clock
            wall = f"(epoch_us({name}) // 1000000)"
            shift = f"{clock.wall_offset_sql(wall)} - {clock.second_offset_sql(wall)}"
            second = f"CASE WHEN {name}_offset_s IS NULL THEN {shift} END"
        self.con.execute(f"""
            CREATE OR REPLACE VIEW placed AS
            SELECT _file, _line, {", ".join(columns)}, {second} AS _second_s,
                   {" OR ".join(missing) or "FALSE"} AS _missing
            FROM staged WHERE _reason IS NULL""")

    def _key_sql(self, prefix: str = "") -> str:
        return ", ".join(f"{prefix}{quote_name(name)}" for name in self.contract.key)

    def _number_repeats(self) -> dict[str, int]:
        """Table ``second_pass``: rows that are the second of their key at a wall time that comes twice."""
        self.con.execute(f"""
            CREATE OR REPLACE TABLE repeats AS
            SELECT _file, _line, row_number() OVER (PARTITION BY {self._key_sql()} ORDER BY _file, _line) AS place,
                   count(*) OVER (PARTITION BY {self._key_sql()}) AS n
            FROM placed WHERE _second_s IS NOT NULL AND NOT _missing""")
        clock = self.contract.clock
        moved = f"{clock} + to_seconds(_second_s)" if clock in self.instants else clock
        others = [quote_name(name) for name in self.contract.names if name != clock]
        self.con.execute(f"""
            CREATE OR REPLACE VIEW timed AS
            SELECT p._file, p._line, CASE WHEN r.place = 2 THEN {moved} ELSE {clock} END AS {clock}, {", ".join(others)}
            FROM placed p LEFT JOIN repeats r ON r._file = p._file AND r._line = p._line
            WHERE NOT p._missing""")
        return {
            "repeated_first": self._count("repeats", "place <> 2 AND n > 1"),
            "repeated_second": self._count("repeats", "place = 2"),
            "repeated_alone": self._count("repeats", "n = 1"),
        }

    def _judge_duplicates(self) -> None:
        """Table ``verdicts``: rows not kept; a null verdict is an equal row, else the reason of a rejection."""
        same = " AND ".join(f"t.{quote_name(k)} IS NOT DISTINCT FROM d.{quote_name(k)}" for k in self.contract.key)
        values = ", ".join(f"t.{quote_name(name)}" for name in self.contract.values)
        reason = quote_text(f"same {' and '.join(self.contract.key)} as another row, other values: sum or choose one")
        self.con.execute(f"""
            CREATE OR REPLACE TABLE verdicts AS
            WITH doubled AS (SELECT {self._key_sql()} FROM timed GROUP BY ALL HAVING count(*) > 1),
            rows AS (SELECT t._file, t._line, {self._key_sql("t.")}, hash({values}) AS h
                     FROM timed t JOIN doubled d ON {same}),
            compared AS (SELECT _file, _line, row_number() OVER key AS place,
                                min(h) OVER whole <> max(h) OVER whole AS differ
                         FROM rows WINDOW key AS (PARTITION BY {self._key_sql()} ORDER BY _file, _line),
                                          whole AS (PARTITION BY {self._key_sql()}))
            SELECT _file, _line, CASE WHEN differ THEN {reason} END AS verdict
            FROM compared WHERE differ OR place > 1""")

    def _judge_wide_intervals(self) -> None:
        self.con.execute(f"""
            INSERT INTO verdicts
            WITH steps AS (SELECT service, epoch(lead(ts) OVER (PARTITION BY service ORDER BY ts) - ts) AS step
                           FROM timed t ANTI JOIN verdicts v USING (_file, _line)),
            counted AS (SELECT service, step, count(*) AS n, sum(count(*)) OVER (PARTITION BY service) AS total
                        FROM steps WHERE step IS NOT NULL GROUP BY service, step),
            wide AS (SELECT service, step FROM counted
                     WHERE step > {LONGEST_INTERVAL_S} AND total >= 2 AND n >= {_REGULAR_SHARE} * total)
            SELECT _file, _line, format('ts: rows are {{:.0f}} s apart; an interval is at most 1 h', step)
            FROM timed JOIN wide USING (service)""")

    def _split(self, home: Clock | None) -> None:
        contract, clock = self.contract, self.contract.clock
        if home is None:
            day = clock
        else:
            day = f"make_date(CAST(floor((epoch({clock}) + {home.offset_sql(f'epoch({clock})')}) / 86400) AS INTEGER))"
        counts = {column.name for column in contract.columns if column.kind == "count"}
        columns = [
            f"{quote_name(n)}::BIGINT AS {quote_name(n)}" if n in counts else quote_name(n) for n in contract.names
        ]
        self.con.execute(f"""
            CREATE OR REPLACE TABLE kept AS
            SELECT {", ".join(columns)}, {day} AS _day
            FROM timed ANTI JOIN verdicts USING (_file, _line)""")
        entity = ", ".join(quote_name(name) for name in contract.entity)
        self.con.execute(f"CREATE OR REPLACE TABLE replaced AS SELECT DISTINCT {entity}, _day FROM kept")
        self._collect_rejected()

    def _collect_rejected(self) -> None:
        cells = ", ".join(f"{quote_name(name)} := CAST({quote_name(name)} AS VARCHAR)" for name in self.contract.names)
        missing = quote_text(
            f"{self.contract.clock}: this local time does not exist in {self.source_timezone} (clock change)"
        )
        self.con.execute(f"""
            CREATE OR REPLACE TABLE rejected AS
            SELECT _file, _line, _reason AS reason, _raw FROM staged WHERE _reason IS NOT NULL
            UNION ALL
            SELECT _file, _line, {missing}, struct_pack({cells}, "_text" := NULL::VARCHAR) FROM placed WHERE _missing
            UNION ALL
            SELECT _file, _line, verdict, struct_pack({cells}, "_text" := NULL::VARCHAR)
            FROM timed JOIN verdicts USING (_file, _line) WHERE verdict IS NOT NULL""")

    def _count_offsets(self) -> dict[str, int]:
        if self.contract.clock not in self.instants:
            return {}
        known = f"{self.contract.clock} IS NOT NULL AND _reason IS NULL"
        said = f"{self.contract.clock}_offset_s IS NOT NULL"
        return {
            "with_offset": self._count("staged", f"{known} AND {said}"),
            "without_offset": self._count("staged", f"{known} AND NOT ({said})"),
        }

    def reasons(self) -> list[tuple[str, int, str]]:
        """Count rejected rows: reason, rows, where the first stands."""
        rows = self.con.execute("""
            SELECT reason, count(*), min((_file, _line)) FROM rejected GROUP BY reason ORDER BY count(*) DESC, reason
            """).fetchall()
        return [(reason, int(n), f"{self.labels[first[0]]}:{first[1]}") for reason, n, first in rows]

    def require_rows(self, what: str) -> None:
        """Refuse a source of which no row is left.

        Raises
        ------
        InputError
            Listing the reasons.
        """
        from capacity.errors import Problem

        if self._count("kept"):
            return
        problems = [
            Problem(first, f"{n:,} rows: {reason}", "rows that keep the contract")
            for reason, n, first in self.reasons()
        ]
        raise InputError(
            f"{what}: no row keeps the contract of {self.contract.table}; nothing was taken in",
            problems=problems[:30],
            remedy="mend the source; docs/formats.md has the contract",
        )
