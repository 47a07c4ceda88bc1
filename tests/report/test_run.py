"""A report run says truly what became of it, and a bad one leaves the last good page where it was."""

import json
import subprocess
import sys
from datetime import date

import pytest

from capacity.errors import InputError, NotCoveredError, UsageError
from capacity.report import Limits, list_records, run_reports


def test_good_then_bad_slow_and_dead_leave_the_good_page(workspace, run):
    good = run("good")
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

    bad = run("bad")
    assert bad.status == "failed"
    assert "ValueError: <script>no</script>" in bad.error
    slow = run("slow", limits=Limits(cell_timeout_s=3))
    assert slow.status == "timed_out"
    dead = run("dead")
    assert dead.status == "killed"
    for attempt in (bad, slow, dead):
        assert attempt.folder == good.folder / "failed"
    assert json.loads((good.folder / "failed" / "run.json").read_text(encoding="utf-8"))["status"] == "killed"
    assert (good.folder / "index.html").read_text(encoding="utf-8") == page
    assert [record.run["status"] for record in list_records(workspace.reports_dir)].count("ok") == 1
    index = (workspace.reports_dir / "index.html").read_text(encoding="utf-8")
    assert 'data-status="killed"' in index
    assert 'data-status="ok"' in index
    assert not [path for path in good.folder.parent.iterdir() if path.name.startswith(".")], "nothing half-built stays"


def test_a_run_over_its_time_is_stopped_whole(run):
    assert run("slow", limits=Limits(run_timeout_s=4)).status == "timed_out"


def test_everything_is_checked_before_a_kernel_starts(workspace):
    with pytest.raises(UsageError, match="did you mean 'mode'"):
        run_reports(workspace, ["forecast"], promotion="p", parameters={"mod": "good"})
    with pytest.raises(UsageError, match="'retrospektive'"):
        run_reports(workspace, ["retrospektive"], promotion="p")
    with pytest.raises(InputError, match="no promotion 'q'"):
        run_reports(workspace, ["forecast"], promotion="q")
    assert not list(workspace.reports_dir.glob("**/run.json"))


def runs_made(workspace) -> int:
    return len((workspace.directory / "runs.txt").read_text(encoding="utf-8").splitlines())


def test_the_same_page_is_made_once_and_anew_when_anything_it_rests_on_changes(workspace, run):
    first, again = run(), run()
    assert (first.skipped, again.skipped) == (False, True)
    assert (again.status, again.verdict, again.folder) == ("ok", first.verdict, first.folder)
    assert runs_made(workspace) == 1
    assert not run(force=True).skipped
    services = workspace.directory / "data" / "services.yaml"
    services.write_text("- {name: shop, tier: core}\n", encoding="utf-8")
    assert not run().skipped
    journal = workspace.directory / "data" / "journal" / "p.jsonl"
    journal.parent.mkdir(exist_ok=True)
    journal.write_text("", encoding="utf-8")
    assert not run().skipped
    assert run().skipped


def test_a_dead_kernel_is_tried_again_and_an_error_is_not(workspace, run):
    assert run("dead once").status == "ok"
    assert run("dead once", force=True, limits=Limits(retries=0)).status == "ok"
    (workspace.directory / "tried").unlink()
    assert run("dead once", force=True, limits=Limits(retries=0)).status == "killed"


def test_two_at_once_make_one_page(workspace):
    code = (
        "import pathlib\nfrom capacity.report import run_reports, shelf\nfrom capacity.workspace import Workspace\n"
        f"shelf.notebook_path = lambda name: pathlib.Path({str(workspace.directory.parent / 'forecast.ipynb')!r})\n"
        f"ws = Workspace({str(workspace.directory)!r}, as_of='2026-10-20')\n"
        "print(run_reports(ws, ['forecast'], promotion='p')[0].skipped)"
    )
    both = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert sorted(child.communicate(timeout=120)[0].strip() for child in both) == ["False", "True"]
    assert runs_made(workspace) == 1


def test_old_data_are_no_news(workspace, run, fill):
    with pytest.raises(NotCoveredError, match="there is none"):
        run(fresh_within_days=2)
    fill(date(2026, 10, 15))
    with pytest.raises(NotCoveredError, match="2026-10-16"):
        run(fresh_within_days=2)
    assert run(fresh_within_days=4).status == "ok"


def test_pages_lead_to_each_other_and_say_what_changed(workspace):
    def on(day, verdict, x):
        (workspace.directory / "told.json").write_text(json.dumps({"verdict": verdict, "x": x}), encoding="utf-8")
        return run_reports(workspace, ["forecast"], promotion="p", days=[day])[0]

    first = on(date(2026, 10, 1), "Ready.", 1.0)
    last = on(date(2026, 10, 15), "Not ready: <b>no</b>.", 2.0)
    assert (first.verdict_before, last.verdict_before) == (None, "Ready.")
    assert last.changes == ("x: 1 → 2 requests/s (+100.0%)",)
    page = (first.folder / "index.html").read_text(encoding="utf-8")
    assert '<a rel="next" href="../2026-10-15/index.html">' in page
    assert "What changed" not in page
    middle = on(date(2026, 10, 8), "Ready.", 1.001)
    assert middle.changes == ()
    between = (middle.folder / "index.html").read_text(encoding="utf-8")
    assert '<a rel="prev" href="../2026-10-01/index.html">' in between
    assert "What changed since 2026-10-01" in between
    assert "<p>Nothing.</p>" in between
    page = (last.folder / "index.html").read_text(encoding="utf-8")
    assert "What changed since 2026-10-08" in page
    assert "It said then: Ready." in page
