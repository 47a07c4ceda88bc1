"""One attempt at a page: executed aside, rendered, moved in whole, and told truly."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from capacity.document import write_text
from capacity.report import shelf
from capacity.report.changes import compare
from capacity.report.key import code_hash, run_key
from capacity.report.page import render_page
from capacity.report.records import FAILED, Record, good_neighbours
from capacity.report.verdict import METRICS_MIME
from capacity.report.worker import OUTCOME
from capacity.workspace import Workspace

_PACKAGES = ("capacity", "numpy", "pandas", "scipy", "duckdb", "ibis-framework", "papermill", "matplotlib")
_WORKER = Path(__file__).with_name("worker.py")  # run as a file: its package would be imported for nothing


@dataclass(frozen=True)
class Limits:
    """How long a run may take, and how often it is tried.

    Attributes
    ----------
    cell_timeout_s, run_timeout_s
        After which a cell, and after which a whole run, is stopped and reported as timed out.
    retries
        Further attempts after a kernel died: that may be chance. An error of the notebook or a time-out is not.
    """

    cell_timeout_s: int = 600
    run_timeout_s: float = 1800.0
    retries: int = 1


@dataclass(frozen=True)
class Task:
    """One page to be made.

    Attributes
    ----------
    workspace
        As known on the page's day.
    report, slug
        Its name, and the promotion's folder.
    parameters, inputs
        Checked, and what they rest on.
    """

    workspace: Workspace
    report: str
    slug: str
    parameters: dict[str, object]
    inputs: Sequence[Mapping[str, object]]

    @property
    def target(self) -> Path:
        """Where the page's files go."""
        return self.workspace.reports_dir / self.report / self.slug / str(self.parameters["as_of"])

    @property
    def key(self) -> str:
        """Hash of all that the page is made from."""
        notebook = shelf.notebook_path(self.report)
        return run_key(self.report, parameters=self.parameters, inputs=self.inputs, notebook=notebook)


def attempt_page(task: Task, limits: Limits) -> dict[str, Any]:
    """Execute a page's notebook once, move the outcome to where it belongs and return its run.json."""
    started, clock = datetime.now(UTC), time.monotonic()
    target = task.target
    attempt = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        outcome = _execute(task, attempt, limits)
        record: dict[str, Any] = {
            "schema": "capacity.run/1",
            "report": task.report,
            "promotion": task.parameters["promotion"],
            "as_of": task.parameters["as_of"],
            "status": outcome["status"],
            "key": task.key,
            "parameters": task.parameters,
            "inputs": list(task.inputs),
            "versions": {package: version(package) for package in _PACKAGES},
            "code": code_hash(shelf.notebook_path(task.report)),
            "started_at": started.isoformat(timespec="seconds"),
            "duration_s": round(time.monotonic() - clock, 2),
            "error": outcome["error"],
        }
        _finish(attempt, record, target)
    finally:
        shutil.rmtree(attempt, ignore_errors=True)
    return record


def _execute(task: Task, attempt: Path, limits: Limits) -> dict[str, str | None]:
    spec = {
        "notebook": str(shelf.notebook_path(task.report)),
        "parameters": task.parameters,
        "cwd": str(task.workspace.directory),
        "cell_timeout_s": limits.cell_timeout_s,
    }
    write_text(attempt / "spec.json", json.dumps(spec, ensure_ascii=False))
    with (attempt / "log.txt").open("wb") as log:
        child = subprocess.Popen(
            [sys.executable, "-P", str(_WORKER), str(attempt)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            child.wait(timeout=limits.run_timeout_s)
        except subprocess.TimeoutExpired:
            return {"status": "timed_out", "error": f"the run was stopped after {limits.run_timeout_s:g} s"}
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


def _finish(attempt: Path, record: Mapping[str, object], target: Path) -> None:
    """Move a finished attempt to where it belongs; a failed one below the last good page."""
    for left_over in ("spec.json", OUTCOME):
        (attempt / left_over).unlink(missing_ok=True)
    write_text(attempt / "run.json", json.dumps(record, ensure_ascii=False, indent=1))
    if record["status"] != "ok":
        _move_in(attempt, target / FAILED)
        return
    (attempt / "log.txt").unlink(missing_ok=True)
    metrics = _metrics(_cells(attempt))
    write_text(attempt / "metrics.json", json.dumps(metrics, ensure_ascii=False, indent=1))
    render(Record(attempt, record, metrics), place=target)
    _move_in(attempt, target)


def render(record: Record, *, place: Path | None = None) -> None:
    """Write a good run's page, with its way to the runs before and after it and what changed since the one before."""
    before, after = good_neighbours(place or record.folder)
    page = render_page(
        _cells(record.folder),
        title=shelf.REPORTS[record.report],
        run=record.run,
        previous=None if before is None else before.as_of,
        following=None if after is None else after.as_of,
        verdict_before=None if before is None or before.verdict == record.verdict else before.verdict,
        changes=[] if before is None else [str(change) for change in compare(before.metrics, record.metrics)],
    )
    write_text(record.folder / "index.html", page)


def _cells(folder: Path) -> list[dict[str, Any]]:
    cells: list[dict[str, Any]] = json.loads((folder / "notebook.ipynb").read_text(encoding="utf-8"))["cells"]
    return cells


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
