"""Old pages go, the newest stay, and so does a failure that nothing came after."""

from datetime import date

import pytest

from capacity.errors import UsageError
from capacity.report import list_records, prune_reports, run_reports


def test_the_newest_stay(workspace):
    days = [date(2026, 10, day) for day in (1, 2, 3)]
    run_reports(workspace, ["forecast"], promotion="p", days=days)
    for mode, day in (("bad", days[0]), ("bad", date(2026, 10, 4))):
        run_reports(workspace, ["forecast"], promotion="p", days=[day], parameters={"mode": mode})
    wanted = prune_reports(workspace.reports_dir, keep=2, dry_run=True)
    assert len(list(list_records(workspace.reports_dir))) == 5
    assert wanted == prune_reports(workspace.reports_dir, keep=2)
    assert wanted.bytes > 0
    left = [(record.as_of, record.run["status"]) for record in list_records(workspace.reports_dir)]
    assert left == [("2026-10-04", "failed"), ("2026-10-03", "ok"), ("2026-10-02", "ok")]
    assert "2026-10-01" not in (workspace.reports_dir / "index.html").read_text(encoding="utf-8")
    with pytest.raises(UsageError, match="at least 1"):
        prune_reports(workspace.reports_dir, keep=0)
