"""Run reports: check, execute aside, render, move in whole, and say truly what became of each."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from capacity.document import write_text
from capacity.report import shelf
from capacity.report.index import write_index
from capacity.report.page import render_page
from capacity.report.verdict import METRICS_MIME
from capacity.report.worker import OUTCOME
from capacity.workspace import Workspace

_PACKAGES = ("capacity", "numpy", "pandas", "scipy", "duckdb", "ibis-framework", "papermill", "matplotlib")


@dataclass(frozen=True)
class ReportRun:
    """What became of one report run.

    Attributes
    ----------
    report, promotion, as_of
        Which report, of what, as known before which day.
    status
        ``ok``, ``failed``, ``timed_out`` or ``killed``.
    folder
        Where its page lies; a failed attempt is kept under ``failed/`` beside the last good page.
    verdict, error
        What a good run says first; what went wrong in another.
    duration_s
        Wall time.
    """

    report: str
    promotion: str
    as_of: str
    status: str
    folder: Path
    verdict: str | None
    error: str | None
    duration_s: float

    def to_document(self) -> dict[str, object]:
        """Return the run as plain values for JSON."""
        return asdict(self) | {"folder": self.folder.as_posix()}


def run_reports(
    workspace: Workspace,
    names: Sequence[str],
    *,
    promotion: str,
    cell_timeout_s: int = 600,
    run_timeout_s: float = 1800.0,
    jobs: int = 1,
    parameters: Mapping[str, object] | None = None,
    on_done: Callable[[ReportRun], None] | None = None,
) -> tuple[ReportRun, ...]:
    """Execute reports of one promotion as known at the workspace's ``as_of`` and refresh the index.

    Everything is checked before the first kernel starts. Each run is built aside and moved in whole;
    one that failed is kept as that, and leaves the last good page where it was.

    Parameters
    ----------
    names
        Of ``REPORTS``.
    promotion
        The promotion's id.
    cell_timeout_s, run_timeout_s
        After which a cell, and after which a whole run, is stopped and reported as timed out.
    jobs
        How many run at once, each in a process of its own.
    parameters
        Further parameters of the notebooks.

    Raises
    ------
    UsageError
        For an unknown report or parameter, before anything runs.
    """
    subject = workspace.promotions[promotion]
    given = {"workspace": ".", "promotion": subject.id, "as_of": workspace.as_of_text, **(parameters or {})}
    checked = [(name, shelf.check_parameters(name, given)) for name in dict.fromkeys(names)]
    inputs = workspace.inputs()

    def run(task: tuple[str, dict[str, object]]) -> ReportRun:
        done = _run_one(workspace, task[0], subject.slug, task[1], inputs, (cell_timeout_s, run_timeout_s))
        if on_done is not None:
            on_done(done)
        return done

    with ThreadPoolExecutor(max_workers=max(1, jobs)) as pool:
        runs = tuple(pool.map(run, checked))
    write_index(workspace.reports_dir)
    return runs


def list_runs(reports: Path) -> Iterator[dict[str, object]]:
    """Yield the ``run.json`` of every run below a reports folder, failed attempts included, newest day first."""
    found = [
        json.loads(path.read_text(encoding="utf-8")) | {"path": path.parent} for path in reports.glob("*/*/*/run.json")
    ]
    found += [
        json.loads(path.read_text(encoding="utf-8")) | {"path": path.parent}
        for path in reports.glob("*/*/*/failed/run.json")
    ]
    yield from sorted(found, key=lambda run: (str(run["as_of"]), str(run["started_at"])), reverse=True)


def _run_one(
    workspace: Workspace,
    name: str,
    slug: str,
    parameters: dict[str, object],
    inputs: Sequence[Mapping[str, object]],
    timeouts: tuple[int, float],
) -> ReportRun:
    started, clock = datetime.now(UTC), time.monotonic()
    target = workspace.reports_dir / name / slug / str(parameters["as_of"])
    target.parent.mkdir(parents=True, exist_ok=True)
    attempt = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        outcome = _execute(name, attempt, parameters, workspace.directory, timeouts)
        record: dict[str, object] = {
            "schema": "capacity.run/1",
            "report": name,
            "promotion": parameters["promotion"],
            "as_of": parameters["as_of"],
            "status": outcome["status"],
            "parameters": parameters,
            "inputs": list(inputs),
            "versions": {package: version(package) for package in _PACKAGES},
            "code": hashlib.sha256(shelf.notebook_path(name).read_bytes()).hexdigest(),
            "started_at": started.isoformat(timespec="seconds"),
            "duration_s": round(time.monotonic() - clock, 2),
            "error": outcome["error"],
        }
        verdict = _finish(attempt, record, target)
    finally:
        shutil.rmtree(attempt, ignore_errors=True)
    return ReportRun(
        report=name,
        promotion=str(parameters["promotion"]),
        as_of=str(parameters["as_of"]),
        status=str(record["status"]),
        folder=target if record["status"] == "ok" else target / "failed",
        verdict=verdict,
        error=None if record["error"] is None else str(record["error"]),
        duration_s=float(str(record["duration_s"])),
    )


def _execute(
    name: str, attempt: Path, parameters: Mapping[str, object], cwd: Path, timeouts: tuple[int, float]
) -> dict[str, str | None]:
    cell_timeout_s, run_timeout_s = timeouts
    spec = {
        "notebook": str(shelf.notebook_path(name)),
        "parameters": dict(parameters),
        "cwd": str(cwd),
        "cell_timeout_s": cell_timeout_s,
    }
    write_text(attempt / "spec.json", json.dumps(spec, ensure_ascii=False))
    with (attempt / "log.txt").open("wb") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "capacity.report.worker", str(attempt)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            child.wait(timeout=run_timeout_s)
        except subprocess.TimeoutExpired:
            return {"status": "timed_out", "error": f"the run was stopped after {run_timeout_s:g} s"}
        finally:
            _kill_group(child)
    if (attempt / OUTCOME).is_file():
        outcome: dict[str, str | None] = json.loads((attempt / OUTCOME).read_text(encoding="utf-8"))
        return outcome
    if child.returncode < 0:
        return {"status": "killed", "error": f"the run was killed by {signal.Signals(-child.returncode).name}"}
    lines = (attempt / "log.txt").read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return {"status": "failed", "error": lines[-1] if lines else f"the run ended with code {child.returncode}"}


def _kill_group(child: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def _finish(attempt: Path, record: Mapping[str, object], target: Path) -> str | None:
    """Move a finished attempt to where it belongs; return the verdict of a good one."""
    for left_over in ("spec.json", OUTCOME):
        (attempt / left_over).unlink(missing_ok=True)
    write_text(attempt / "run.json", json.dumps(record, ensure_ascii=False, indent=1))
    if record["status"] != "ok":
        _move_in(attempt, target / "failed")
        return None
    (attempt / "log.txt").unlink(missing_ok=True)
    notebook = json.loads((attempt / "notebook.ipynb").read_text(encoding="utf-8"))
    metrics = _metrics(notebook["cells"])
    write_text(attempt / "metrics.json", json.dumps(metrics, ensure_ascii=False, indent=1))
    title = shelf.REPORTS[str(record["report"])]
    write_text(attempt / "index.html", render_page(notebook["cells"], title=title, run=record))
    _move_in(attempt, target)
    return str(metrics["verdict"])


def _metrics(cells: Iterable[Mapping[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {"verdict": "", "metrics": []}
    for cell in cells:
        for output in cell.get("outputs", []):  # type: ignore[attr-defined]
            found |= output.get("data", {}).get(METRICS_MIME, {})
    return {"schema": "capacity.metrics/1"} | found


def _move_in(attempt: Path, target: Path) -> None:
    """Put a finished folder in place of an older one; readers see the old whole or the new whole."""
    target.parent.mkdir(parents=True, exist_ok=True)
    attempt.chmod(0o755)
    if target.exists():
        aside = Path(tempfile.mkdtemp(prefix=f".{target.name}-old-", dir=target.parent))
        target.rename(aside / "old")
        attempt.rename(target)
        shutil.rmtree(aside, ignore_errors=True)
    else:
        attempt.rename(target)
