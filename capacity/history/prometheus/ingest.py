"""Prometheus into ``traffic``: whole days, kept aside as they come, so that a fetch that broke off goes on."""

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from capacity.document import write_bytes
from capacity.errors import NotCoveredError, UsageError
from capacity.history.clock import start_of_day
from capacity.history.ingest_report import IngestReport
from capacity.history.ingestion import TABLES, ingest
from capacity.history.prometheus.client import Prometheus
from capacity.history.prometheus.days import ask_traffic
from capacity.settings import Monitoring

_LATE_S = 300.0  # a scrape may come so late: only a day that ended before is complete


def ingest_prometheus(
    server: Prometheus,
    names: Monitoring,
    *,
    first: date,
    last: date,
    workspace_dir: str | Path,
    timezone: str,
    step_s: float = 60.0,
    now: datetime | None = None,
    progress: Callable[[str], None] | None = None,
) -> IngestReport:
    """Take days of a Prometheus server into ``traffic``.

    Days are asked for one by one and kept beside the tables until all are there; then they are taken in as files are.
    A fetch that broke off goes on where it was when it is asked for again. The current day is taken up to now.

    Parameters
    ----------
    server, names
        Whom to ask, and what things are called there.
    first, last
        Local days, both included.
    workspace_dir, timezone
        Of the workspace.
    step_s
        Length of an interval; at least two scrapes.
    now
        The clock; the machine's when left out.
    progress
        Told what is being done.

    Returns
    -------
    IngestReport
        As of any source.

    Raises
    ------
    UsageError
        If the days or the step cannot be.
    NotCoveredError
        If the server knows nothing of these days.
    InputError, UnreachableError
        As :class:`Prometheus`.
    """
    _check_span(first, last, step_s, names)
    moment = (now or datetime.now(UTC)).timestamp()
    aside = Path(workspace_dir) / TABLES / f".prometheus-{_fingerprint(server, names, step_s, timezone)}"
    nameless, silent = 0, []
    day = first
    while day <= last:
        start_s, end_s = (start_of_day(one, timezone).timestamp() for one in (day, day + timedelta(days=1)))
        if start_s >= moment:
            break
        path = aside / f"{day.isoformat()}.parquet"
        complete = end_s + _LATE_S <= moment
        if not (complete and path.is_file()):
            if progress is not None:
                progress(f"Asking Prometheus for {day.isoformat()}")
            rows, without = ask_traffic(server, names, start_s=start_s, end_s=min(end_s, moment), step_s=step_s)
            nameless = max(nameless, without)
            if rows.empty:
                silent.append(day.isoformat())
            else:
                write_bytes(path, rows.to_parquet(index=False))
        day += timedelta(days=1)
    for path in aside.glob("*.parquet"):
        if not first.isoformat() <= path.stem <= last.isoformat():
            path.unlink()  # of a fetch of other days that broke off
    if not any(aside.glob("*.parquet")):
        raise NotCoveredError(
            f"Prometheus at {server.url} knows no {names.requests} from {first} to {last}",
            remedy="see its retention, and the names under [monitoring] in capacity.toml",
        )
    report = ingest(aside, table="traffic", workspace_dir=workspace_dir, timezone=timezone, progress=progress)
    shutil.rmtree(aside)
    notes = [f"no answer for {', '.join(silent[:5])}{' …' * (len(silent) > 5)}"] if silent else []
    if nameless:
        notes.append(f"{nameless} series without the label {names.service_label} were left out")
    notes.append("peak_qps is unknown: scrapes do not see single seconds")
    return replace(report, source=f"Prometheus at {server.url}", warnings=(*report.warnings, *notes))


def _check_span(first: date, last: date, step_s: float, names: Monitoring) -> None:
    if last < first:
        raise UsageError(f"Prometheus: got days from {first} to {last}", remedy="give the earlier day first")
    if not (2 * names.scrape_interval_s <= step_s <= 3600 and 86_400 % step_s == 0):
        raise UsageError(
            f"Prometheus: got a step of {step_s:g} s, expected a part of a day from two scrapes "
            f"({2 * names.scrape_interval_s:g} s) to an hour",
            remedy="take 60, or set scrape_interval_s under [monitoring] in capacity.toml",
        )


def _fingerprint(server: Prometheus, names: Monitoring, step_s: float, timezone: str) -> str:
    asked = [server.url, names.model_dump(), step_s, timezone]
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:12]
