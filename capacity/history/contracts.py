"""The contracts of the tables that are taken in: columns, bounds, keys.

Bounds are there to stop what cannot be a measurement (an overflow, a wrong unit, a sentinel), not to judge
plausible numbers:

- a count of an interval of at most one hour stays below 10¹²: 280 million a second, more than any single
  service of today sees;
- people stay below 10¹⁰, more than there are; orders of a day below 10¹²;
- latency stays below 10⁷ ms (nearly three hours), instances below 10⁷;
- fractions are 0 to 1: a percentage is told by being above.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from capacity.errors import Problem, UsageError, did_you_mean

Kind = Literal["instant", "day", "text", "count", "measure"]

HIGHEST_COUNT = 1e12
HIGHEST_PEOPLE = 1e10
HIGHEST_MS = 1e7
HIGHEST_INSTANCES = 1e7
LONGEST_NAME = 200


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Parameters
    ----------
    name
        As in the source's header.
    kind
        What its cells are read as.
    required
        The column must be there.
    nullable
        A cell may be empty: unknown.
    highest
        Largest accepted value of a number; the lowest is 0.
    """

    name: str
    kind: Kind
    required: bool = False
    nullable: bool = True
    highest: float = HIGHEST_COUNT


@dataclass(frozen=True)
class Contract:
    """One table: its columns and what makes a row.

    Parameters
    ----------
    table
        Its name.
    columns
        In the order of the stored table.
    key
        Columns that no two rows share.
    clock
        The column that says when; its local day is what a second ingest replaces.
    entity
        Columns that, with the day, say which rows a second ingest replaces.
    checks
        SQL conditions over the columns that no row may meet, with the reason to give.
    """

    table: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    clock: str
    entity: tuple[str, ...]
    checks: tuple[tuple[str, str], ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(column.name for column in self.columns)

    def column(self, name: str) -> Column:
        """Return the column of a name."""
        return next(column for column in self.columns if column.name == name)

    @property
    def values(self) -> tuple[str, ...]:
        """Columns that are not in the key."""
        return tuple(name for name in self.names if name not in self.key)


DAILY_ACTIVITY = Contract(
    table="daily_activity",
    columns=(
        Column("date", "day", required=True, nullable=False),
        Column("segment", "text", nullable=False),
        Column("dau", "count", required=True, highest=HIGHEST_PEOPLE),
        Column("dat", "count", required=True),
    ),
    key=("date", "segment"),
    clock="date",
    entity=("segment",),
    checks=(("dau IS NULL AND dat IS NULL", "dau and dat are both unknown"),),
)

_OF_REQUESTS = ("errors", "rejected", "test_requests", "bot_requests")

TRAFFIC = Contract(
    table="traffic",
    columns=(
        Column("ts", "instant", required=True, nullable=False),
        Column("service", "text", required=True, nullable=False),
        Column("requests", "count", required=True, nullable=False),
        *(Column(name, "count") for name in _OF_REQUESTS),
        Column("peak_qps", "measure"),
        Column("p50_ms", "measure", highest=HIGHEST_MS),
        Column("p95_ms", "measure", highest=HIGHEST_MS),
        Column("p99_ms", "measure", highest=HIGHEST_MS),
        Column("cpu_fraction", "measure", highest=1.0),
        Column("instances", "count", highest=HIGHEST_INSTANCES),
    ),
    key=("ts", "service"),
    clock="ts",
    entity=("service",),
    checks=(
        *((f"{name} > requests", f"{name} above requests, of which they are part") for name in _OF_REQUESTS),
        ("errors + rejected > requests", "errors and rejected together above requests (errors do not count rejected)"),
        # Half a request of room: rates that were computed, not counted.
        ("peak_qps > requests + 0.5", "peak_qps above requests: one second had more than the whole interval"),
        ("p50_ms > p95_ms OR p95_ms > p99_ms OR p50_ms > p99_ms", "p50_ms, p95_ms, p99_ms fall"),
    ),
)

CALLS = Contract(
    table="calls",
    columns=(
        Column("caller", "text", required=True, nullable=False),
        Column("callee", "text", required=True, nullable=False),
        Column("calls", "count", required=True, nullable=False),
        Column("retries", "count"),
        Column("window_start", "instant"),
        Column("window_end", "instant"),
    ),
    key=("caller", "callee", "window_start", "window_end"),
    clock="window_start",
    entity=("caller",),
    checks=(
        ("caller = callee", "caller calls itself"),
        ("retries > calls", "retries above calls, in which they are counted"),
        ("(window_start IS NULL) <> (window_end IS NULL)", "window_start and window_end: one without the other"),
        ("window_end <= window_start", "window_end not after window_start"),
    ),
)

CONTRACTS = {contract.table: contract for contract in (DAILY_ACTIVITY, TRAFFIC, CALLS)}


def contract_of(table: str) -> Contract:
    """Return the contract of a table.

    Raises
    ------
    UsageError
        If there is no such table.

    Examples
    --------
    >>> contract_of("traffic").key
    ('ts', 'service')
    >>> contract_of("trafic")
    Traceback (most recent call last):
    capacity.errors.UsageError: table: got 'trafic', expected one of daily_activity, traffic, calls
    Next: did you mean 'traffic'?
    """
    if table in CONTRACTS:
        return CONTRACTS[table]
    raise UsageError(
        f"table: got {table!r}, expected one of {', '.join(CONTRACTS)}", remedy=did_you_mean(table, CONTRACTS)
    )


def check_columns(names: Sequence[str], *, contract: Contract, where: str) -> tuple[list[Problem], list[str]]:
    """Compare a source's columns with a contract.

    Parameters
    ----------
    names
        The source's columns.
    contract
        What they should be.
    where
        The file, for the messages.

    Returns
    -------
    problems, warnings
        Missing and repeated columns; columns that are ignored.

    Examples
    --------
    >>> problems, warnings = check_columns(["ts", "service", "reqests"], contract=TRAFFIC, where="a.csv")
    >>> print(problems[0])
    a.csv requests: got no such column, expected the column 'requests'; 'reqests' is not known, is it meant?
    """
    problems, taken = [], set()
    unknown = [name for name in dict.fromkeys(names) if name not in contract.names]
    for column in contract.columns:
        if column.name in names or not column.required:
            continue
        close = did_you_mean(column.name, unknown)
        found = next((name for name in unknown if repr(name) in close), None)
        taken.add(found)
        remedy = f"{found!r} is not known, is it meant?" if found else f"the columns are {_listed(names)}"
        problems.append(Problem(f"{where} {column.name}", "no such column", f"the column {column.name!r}", remedy))
    problems += [
        Problem(f"{where} {name}", f"{names.count(name)} columns of that name", "one", "rename or drop the others")
        for name in contract.names
        if names.count(name) > 1
    ]
    free = [name for name in contract.names if name not in names]
    warnings = [
        f"{where}: column {name!r} is not in the contract of {contract.table} and was ignored"
        + (f"; {hint}" if (hint := did_you_mean(name, free)) else "")
        for name in unknown
        if name not in taken
    ]
    return problems, warnings


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:12])
    return shown + (f" and {len(names) - 12} more" if len(names) > 12 else "")
