"""What a report costs beyond its notebook, and how long eight of them take two processes."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROMOTION, AS_OF = "2026-double11", "2026-10-20"
EIGHT = ("kickoff", "decision", "forecast", "saturation", "plan", "rehearsal", "readiness", "backtest")
_BARE = """
import nbformat, time
from nbclient import NotebookClient
book = nbformat.read({notebook!r}, as_version=4)
cell = next(one for one in book.cells if "parameters" in one.metadata.get("tags", []))
cell.source += "\\nas_of, promotion, workspace = {as_of!r}, {promotion!r}, {folder!r}"
NotebookClient(book, timeout=600).execute()
"""


def run() -> str:
    """Return the table."""
    from capacity.demo import make_company
    from capacity.flow import plan_promotion
    from capacity.report.shelf import notebook_path
    from capacity.workspace import Workspace, create_workspace

    lines = ["| what | s | page, MB |", "|---|---|---|"]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "shop"
        create_workspace(folder, sample=make_company(0))
        ws = Workspace(folder, as_of=AS_OF)
        ws.save(*plan_promotion(ws, PROMOTION), approved_by="benchmark")
        for name in ("kickoff", "readiness"):
            code = _BARE.format(notebook=str(notebook_path(name)), as_of=AS_OF, promotion=PROMOTION, folder=str(folder))
            bare = min(_seconds([sys.executable, "-c", code]) for _ in range(2))
            whole = min(_seconds(_command(folder, name)) for _ in range(2))
            lines.append(f"| {name}: the notebook alone, its kernel's start and imports counted | {bare:.1f} | |")
            lines.append(
                f"| {name}: the report, {whole - bare:+.1f} s | {whole:.1f} | {_megabytes(folder, name):.2f} |"
            )
        took = _seconds(_command(folder, *EIGHT, jobs=2))
        largest = max(EIGHT, key=lambda name: _megabytes(folder, name))
        size = _megabytes(folder, largest)
        lines.append(f"| eight reports by two processes; the largest page is {largest}'s | {took:.1f} | {size:.2f} |")
    return "\n".join(lines)


def _command(folder: Path, *names: str, jobs: int = 1) -> list[str]:
    made = [sys.executable, "-m", "capacity", "-w", str(folder), "report", "run", *names, "--promotion", PROMOTION]
    return [*made, "--as-of", AS_OF, "--jobs", str(jobs), "--force"]


def _seconds(command: list[str]) -> float:
    begin = time.monotonic()
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env)
    return time.monotonic() - begin


def _megabytes(folder: Path, name: str) -> float:
    return (folder / "reports" / name / PROMOTION / AS_OF / "index.html").stat().st_size / 1e6
