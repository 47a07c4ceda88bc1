"""From the files of a log to rows of ``traffic``."""

# ruff: noqa: S608 - paths and names are quoted; a line's content never enters a query.
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd

from capacity.display.escape import safe_slug
from capacity.errors import InputError, Problem
from capacity.history.access_log.formats import LogFile, open_log
from capacity.history.access_log.services import ServiceRule
from capacity.history.engine import connect, quote_text
from capacity.history.ingest_report import IngestReport
from capacity.history.ingestion import REJECTED, TABLES, write_frame
from capacity.history.sources import find_files
from capacity.result import Result

REJECTED_STATUS = 429
ERRORS_FROM = 500
_BOTS = ("bot", "crawl", "spider", "slurp", "curl/", "wget/", "python-requests", "headless")
"""In user agents of programs that say so; what poses as a person is not told apart. (Cubot is a make of telephones.)"""

_MOST_LINES_KEPT = 1_000_000
_QUIET_MIN = 10  # a log that says nothing for longer may have been lost


@dataclass(frozen=True, repr=False, eq=False)
class AccessLogReport(Result):
    """What became of a log's lines.

    Attributes
    ----------
    lines, malformed, without_service
        All lines; those that are none of a log; those whose path no rule fits.
    kept_aside
        Where malformed lines lie, relative to the workspace; None without any.
    traffic
        What was taken into the table.
    """

    lines: int
    malformed: int
    without_service: int
    kept_aside: Path | None
    traffic: IngestReport

    units: ClassVar[dict[str, str]] = {}

    def summary(self) -> str:
        """Return one line."""
        aside = f", {self.malformed:,} malformed kept in {self.kept_aside}" if self.malformed else ""
        left = f", {self.without_service:,} of no service" if self.without_service else ""
        return f"{self.lines:,} lines{aside}{left}; {self.traffic.summary()}"

    def __str__(self) -> str:
        return f"{self.summary()}\n{self.traffic}"

    def to_document(self) -> dict[str, object]:
        """Return plain values, as ``capacity ingest --json`` prints them."""
        counts = {"lines": self.lines, "malformed": self.malformed, "without_service": self.without_service}
        aside = None if self.kept_aside is None else self.kept_aside.as_posix()
        return {**self.traffic.to_document(), **counts, "kept_aside": aside}

    def to_frame(self) -> pd.DataFrame:
        """Return one row a kind of line."""
        taken = self.lines - self.malformed - self.without_service
        rows = [("taken in", taken), ("malformed", self.malformed), ("of no service", self.without_service)]
        return pd.DataFrame(rows, columns=["lines", "count"])


def ingest_access_log(
    source: str | Path,
    *,
    rule: ServiceRule,
    workspace_dir: str | Path,
    timezone: str,
    progress: Callable[[str], None] | None = None,
) -> AccessLogReport:
    """Take the lines of an access log into ``traffic``.

    Requests are counted by the second, so that ``peak_qps`` is the busiest one, and kept by the minute. Status 429 is
    turned away, 500 and above has failed. Memory holds seconds and their latencies' histograms, never lines.

    Parameters
    ----------
    source
        A file, a folder or a glob, packed with gzip or zstd or not; common, combined and JSON lines may differ by file.
    rule
        Which service a path is.
    workspace_dir, timezone
        Of the workspace.
    progress
        Told what is being done.

    Raises
    ------
    InputError
        If nothing is found, a file is empty or unreadable, or no line is one of a log.
    """
    files = _log_files(source)
    root = Path(workspace_dir)
    spill = root / TABLES / ".access-log-spill"
    backend = connect(spill_dir=spill)
    con = backend.con
    try:
        con.execute("SET preserve_insertion_order = false")
        con.execute(_TABLE)
        bytewise: dict[LogFile, bool] = {}
        for file in files:
            if progress is not None:
                progress(f"Reading {file.path.name}")
            bytewise[file] = _count(con, file, rule)
        totals = _totals(con)
        aside = _keep_aside(con, bytewise, root, str(source)) if totals["malformed"] else None
        if totals["taken"] == 0:
            raise InputError(
                f"{source}: none of {totals['lines']:,} lines is one of an access log of these services",
                remedy="common, combined and JSON lines are read; see --service and --services",
            )
        frame = con.sql(_MINUTES).to_arrow_table().to_pandas()
    finally:
        backend.disconnect()
        if spill.is_dir():
            spill.rmdir()
    report = write_frame("traffic", _with_quiet_minutes(frame), root=root, timezone=timezone, progress=progress)
    return AccessLogReport(totals["lines"], totals["malformed"], totals["without_service"], aside, report)


_TABLE = (
    "CREATE TABLE seconds (at_s BIGINT, service VARCHAR, requests BIGINT, errors BIGINT, rejected BIGINT, bots BIGINT, "
    "latency MAP(BIGINT, UBIGINT))"
)
_BUCKETS = 50.0  # a natural logarithm of latency is cut into so many: a quantile is then right to 1 %


def _quantile(share: float) -> str:
    """Return the expression of a quantile of latency over buckets that are counted in order."""
    return f"exp((min(bucket) FILTER (upto >= {share} * n) + 0.5) / {_BUCKETS})"


_MINUTES = f"""
WITH known AS (
    SELECT * FROM seconds WHERE at_s IS NOT NULL AND service IS NOT NULL
), per_second AS (
    SELECT service, at_s, sum(requests) AS requests, sum(errors) AS errors, sum(rejected) AS rejected, sum(bots) AS bots
    FROM known GROUP BY ALL
), minutes AS (
    SELECT service, at_s // 60 AS minute, sum(requests) AS requests, sum(errors) AS errors, sum(rejected) AS rejected,
        sum(bots) AS bot_requests, max(requests) AS peak_qps
    FROM per_second GROUP BY ALL
), entries AS (
    SELECT service, at_s // 60 AS minute, unnest(map_entries(latency)) AS entry FROM known WHERE latency IS NOT NULL
), buckets AS (
    SELECT service, minute, entry.key AS bucket, sum(entry.value) AS n_here FROM entries GROUP BY ALL
), counted AS (
    SELECT service, minute, bucket, sum(n_here) OVER (PARTITION BY service, minute ORDER BY bucket) AS upto,
        sum(n_here) OVER (PARTITION BY service, minute) AS n
    FROM buckets
), quantiles AS (
    SELECT service, minute, {_quantile(0.5)} AS p50_ms, {_quantile(0.95)} AS p95_ms, {_quantile(0.99)} AS p99_ms
    FROM counted GROUP BY ALL
)
SELECT make_timestamptz(minute * 60000000) AS ts, service, requests, errors, rejected, bot_requests,
    peak_qps::DOUBLE AS peak_qps, p50_ms, p95_ms, p99_ms
FROM minutes LEFT JOIN quantiles USING (service, minute) ORDER BY ts, service
"""


def _log_files(source: str | Path) -> list[LogFile]:
    path = Path(source).expanduser()
    if path.is_dir():
        inside = sorted(file for file in path.rglob("*") if file.is_file() and not file.name.startswith("."))
        found = inside
    else:
        found, _ = find_files(source)
    if not found:
        raise InputError(f"{source}: the folder holds no file")
    logs, problems = [], []
    for file in found:
        try:
            logs.append(open_log(file))
        except InputError as error:
            problems.append(Problem(str(file), error.message, "lines of an access log", error.remedy))
    if problems:
        raise InputError(f"{source} cannot be taken in", problems=problems)
    return logs


def _count(con: Any, file: LogFile, rule: ServiceRule) -> bool:
    """Count a file's lines; read it byte by byte, and say so, if anything in it is not UTF-8."""
    con.execute("BEGIN")
    con.execute(_count_sql(file, rule, bytewise=False))
    if _rejects(con, "AND error_type = 'INVALID ENCODING'") == 0:
        con.execute("COMMIT")
        return False
    con.execute("ROLLBACK")
    con.execute(_count_sql(file, rule, bytewise=True))
    return True


def _lines_sql(file: LogFile, *, bytewise: bool, rejects: bool = True) -> str:
    """Take a file's lines apart: ``l, stamp, request, agent, seconds, own, code``; code is null where there is none."""
    whole = (
        "l, string_split(l, '\"') AS x" if file.fields is None else "l AS line, CASE WHEN json_valid(l) THEN l END AS l"
    )
    source = f"SELECT {whole} FROM {file.lines_sql(bytewise=bytewise, rejects=rejects)} WHERE l IS NOT NULL AND l <> ''"
    own = "own" if file.fields is not None else "NULL"
    line = "l AS line" if file.fields is None else "line"
    return (
        f"SELECT line, stamp, request, agent, seconds, {own} AS own, try_cast(status AS SMALLINT) AS code "
        f"FROM (SELECT {line}, {file.parts_sql()} FROM ({source}))"
    )


def _moment_of(file: LogFile) -> str:
    return _MOMENT if file.fields is None else _JSON_MOMENT


def _count_sql(file: LogFile, rule: ServiceRule, *, bytewise: bool) -> str:
    """Count a file's lines by second and service in one pass; a line without time or status is of no second."""
    path = "CASE WHEN starts_with(request, '/') THEN request ELSE split_part(request, ' ', 2) END"
    fitted = rule.sql("path")
    service = f"coalesce(own, {fitted})" if file.fields and "service" in file.fields else fitted
    return f"""
    INSERT INTO seconds
    WITH named AS (
        SELECT CASE WHEN code IS NOT NULL THEN stamp END AS stamp, {path} AS path, own, code,
            {_says_bot("replace(lower(agent), 'cubot', '')")} AS bot,
            CASE WHEN try_cast(seconds AS DOUBLE) >= 0 THEN CAST(
                floor(ln(greatest(try_cast(seconds AS DOUBLE) * 1000, 0.01)) * {_BUCKETS}) AS BIGINT) END AS bucket
        FROM ({_lines_sql(file, bytewise=bytewise)})
    ),
    counted AS (
        SELECT stamp, {service} AS service, count(*) AS requests, count(*) FILTER (code >= {ERRORS_FROM}) AS errors,
            count(*) FILTER (code = {REJECTED_STATUS}) AS rejected, count(*) FILTER (bot) AS bots,
            histogram(bucket) FILTER (bucket IS NOT NULL) AS latency
        FROM named GROUP BY ALL
    )
    SELECT {_moment_of(file)} AS at_s, service, requests, errors, rejected, bots, latency FROM counted
    """


def _says_bot(agent: str) -> str:
    return f"({' OR '.join(f'contains({agent}, {quote_text(word)})' for word in _BOTS)})"


_MOMENT = "CAST(epoch(try_strptime(stamp, '%d/%b/%Y:%H:%M:%S %z')) AS BIGINT)"
_JSON_MOMENT = """coalesce(
    CAST(floor(epoch(try_cast(stamp AS TIMESTAMPTZ))) AS BIGINT),
    CAST(epoch(try_strptime(stamp, '%d/%b/%Y:%H:%M:%S %z')) AS BIGINT),
    CAST(floor(try_cast(stamp AS DOUBLE) / CASE WHEN try_cast(stamp AS DOUBLE) > 1e11 THEN 1000 ELSE 1 END) AS BIGINT)
)"""


def _totals(con: Any) -> dict[str, int]:
    lines, malformed, without, taken = con.execute(
        "SELECT coalesce(sum(requests), 0), coalesce(sum(requests) FILTER (at_s IS NULL), 0), "
        "coalesce(sum(requests) FILTER (at_s IS NOT NULL AND service IS NULL), 0), "
        "coalesce(sum(requests) FILTER (at_s IS NOT NULL AND service IS NOT NULL), 0) FROM seconds"
    ).fetchall()[0]
    too_long = _rejects(con)
    return {
        "lines": int(lines) + too_long,
        "malformed": int(malformed) + too_long,
        "without_service": int(without),
        "taken": int(taken),
    }


def _rejects(con: Any, which: str = "") -> int:
    found = con.execute("SELECT count(*) FROM duckdb_tables() WHERE table_name = 'reject_errors'").fetchall()[0]
    if not found[0]:
        return 0
    lines = con.execute(f"SELECT count(DISTINCT (file_id, line)) FROM reject_errors WHERE true {which}").fetchall()[0]
    return int(lines[0])


def _keep_aside(con: Any, files: dict[LogFile, bool], root: Path, name: str) -> Path:
    """Write malformed lines into a file of their own: a second pass, made only when there are any."""
    relative = REJECTED / "access_log" / f"{safe_slug(Path(name).name)}.txt"
    target = root / relative
    target.parent.mkdir(parents=True, exist_ok=True)
    broken = " UNION ALL ".join(
        f"SELECT line FROM ({_lines_sql(file, bytewise=bytewise, rejects=False)}) "
        f"WHERE code IS NULL OR {_moment_of(file)} IS NULL"
        for file, bytewise in files.items()
    )
    con.execute(
        f"COPY (SELECT line FROM ({broken}) LIMIT {_MOST_LINES_KEPT}) TO {quote_text(str(target))} "
        "(HEADER false, QUOTE '', ESCAPE '', DELIMITER '\x01')"
    )
    return relative


def _with_quiet_minutes(frame: pd.DataFrame) -> pd.DataFrame:
    """Put zeros where a log that was being written has no line of a service; a longer silence stays unknown."""
    moments = pd.DatetimeIndex(frame["ts"].unique()).sort_values()
    gap = moments[1:] - moments[:-1]
    short = (gap > pd.Timedelta(minutes=1)) & (gap <= pd.Timedelta(minutes=_QUIET_MIN))
    between = [
        pd.date_range(first, last, freq="min", inclusive="neither")
        for first, last in zip(moments[:-1][short], moments[1:][short], strict=True)
    ]
    known = moments.append(between) if between else moments
    every = pd.MultiIndex.from_product([known.sort_values(), frame["service"].unique()], names=["ts", "service"])
    counts = ["requests", "errors", "rejected", "bot_requests", "peak_qps"]
    whole = frame.set_index(["ts", "service"]).reindex(every)
    whole[counts] = whole[counts].fillna(0)
    return whole.reset_index().dropna(axis=1, how="all")
