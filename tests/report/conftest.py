"""A workspace whose one report does what a test asks of it."""

from collections.abc import Callable
from datetime import date, timedelta

import nbformat
import pytest

from capacity.report import ReportRun, run_reports, shelf
from capacity.workspace import Workspace, create_workspace

PARAMETERS = """
workspace: str = "."  # folder
promotion: str = "p"  # id
as_of: str = ""  # day
mode: str = "good"  # how it goes
"""
VERDICT = """
import json, pathlib
from capacity.report import record
told = pathlib.Path(workspace, "told.json")
said = json.loads(told.read_text()) if told.is_file() else {"verdict": "All <b>well</b>.", "x": 1.5}
record(said["verdict"], [{"name": "x", "value": said["x"], "unit": "requests/s"}])
"""
MODES = """
import os, pathlib, signal, time
if mode == "bad": raise ValueError("<script>no</script>")
if mode == "slow": time.sleep(60)
if mode == "dead": os.kill(os.getpid(), signal.SIGKILL)
if mode == "dead once" and not pathlib.Path("tried").exists():
    pathlib.Path("tried").touch()
    os.kill(os.getpid(), signal.SIGKILL)
with pathlib.Path("runs.txt").open("a") as runs:
    print(as_of, file=runs)
print("<script>alert(1)</script>")
"""


@pytest.fixture
def workspace(tmp_path, monkeypatch) -> Workspace:
    cells = [nbformat.v4.new_code_cell(source) for source in (PARAMETERS, MODES, VERDICT)]
    cells[0].metadata["tags"] = ["parameters"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("## A question"), *cells])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    path = tmp_path / "forecast.ipynb"
    nbformat.write(notebook, path)
    monkeypatch.setattr(shelf, "notebook_path", lambda _name: path)
    create_workspace(tmp_path / "shop")
    promotions = tmp_path / "shop" / "data" / "promotions.yaml"
    promotions.write_text(
        "- {id: p, kind: k, starts_at: 2026-11-10T20:00, ends_at: 2026-11-12T00:00}\n", encoding="utf-8"
    )
    return Workspace(tmp_path / "shop", as_of="2026-10-20")


@pytest.fixture
def fill(workspace) -> Callable[[date], None]:
    """Take in daily activity up to a day."""

    def until(last: date) -> None:
        days = [last - timedelta(days=n) for n in range(20)]
        source = workspace.directory / "daily.csv"
        source.write_text("date,dau,dat\n" + "".join(f"{day},1000,50\n" for day in days), encoding="utf-8")
        workspace.ingest(str(source), table="daily_activity")

    return until


@pytest.fixture
def run(workspace) -> Callable[..., ReportRun]:
    """Run the report once, in a mode."""

    def once(mode: str = "good", **options: object) -> ReportRun:
        (done,) = run_reports(workspace, ["forecast"], promotion="p", parameters={"mode": mode}, **options)
        return done

    return once
