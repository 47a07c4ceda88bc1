"""A report run says truly what became of it, and a bad one leaves the last good page where it was."""

import json

import nbformat
import pytest

from capacity.errors import InputError, UsageError
from capacity.report import list_runs, run_reports, shelf
from capacity.workspace import Workspace, create_workspace

PARAMETERS = """
workspace: str = "."  # folder
promotion: str = "p"  # id
as_of: str = ""  # day
mode: str = "good"  # how it goes
"""
VERDICT = """
from capacity.report import record
record("All <b>well</b>.", [{"name": "x", "value": 1.5, "unit": "requests/s"}])
"""
MODES = """
import os, signal, time
if mode == "bad": raise ValueError("<script>no</script>")
if mode == "slow": time.sleep(60)
if mode == "dead": os.kill(os.getpid(), signal.SIGKILL)
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


def run(workspace, mode, **options):
    (done,) = run_reports(workspace, ["forecast"], promotion="p", parameters={"mode": mode}, **options)
    return done


def test_good_then_bad_slow_and_dead_leave_the_good_page(workspace):
    good = run(workspace, "good")
    assert (good.status, good.verdict) == ("ok", "All <b>well</b>.")
    page = (good.folder / "index.html").read_text(encoding="utf-8")
    assert "<script>" not in page
    assert "All &lt;b&gt;well&lt;/b&gt;." in page
    assert "os.kill" not in page, "code is not shown"
    metrics = json.loads((good.folder / "metrics.json").read_text(encoding="utf-8"))
    assert metrics == {
        "schema": "capacity.metrics/1",
        "verdict": "All <b>well</b>.",
        "metrics": [{"name": "x", "value": 1.5, "unit": "requests/s"}],
    }
    assert json.loads((good.folder / "run.json").read_text(encoding="utf-8"))["status"] == "ok"

    bad = run(workspace, "bad")
    assert bad.status == "failed"
    assert "ValueError: <script>no</script>" in bad.error
    slow = run(workspace, "slow", cell_timeout_s=3)
    assert slow.status == "timed_out"
    dead = run(workspace, "dead")
    assert dead.status == "killed"
    for attempt in (bad, slow, dead):
        assert attempt.folder == good.folder / "failed"
    assert json.loads((good.folder / "failed" / "run.json").read_text(encoding="utf-8"))["status"] == "killed"
    assert (good.folder / "index.html").read_text(encoding="utf-8") == page
    assert [run["status"] for run in list_runs(workspace.reports_dir)].count("ok") == 1
    index = (workspace.reports_dir / "index.html").read_text(encoding="utf-8")
    assert 'data-status="killed"' in index
    assert 'data-status="ok"' in index
    assert not [path for path in good.folder.parent.iterdir() if path.name.startswith(".")], "nothing half-built stays"


def test_a_run_over_its_time_is_stopped_whole(workspace):
    assert run(workspace, "slow", run_timeout_s=4).status == "timed_out"


def test_everything_is_checked_before_a_kernel_starts(workspace):
    with pytest.raises(UsageError, match="did you mean 'mode'"):
        run_reports(workspace, ["forecast"], promotion="p", parameters={"mod": "good"})
    with pytest.raises(UsageError, match="'retrospektive'"):
        run_reports(workspace, ["retrospektive"], promotion="p")
    with pytest.raises(InputError, match="no promotion 'q'"):
        run_reports(workspace, ["forecast"], promotion="q")
    assert not list(workspace.reports_dir.glob("**/run.json"))
