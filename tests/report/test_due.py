"""What is due is made once, missed days are caught up, and somebody is told."""

import json
import threading
from datetime import date
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from capacity.errors import InputError
from capacity.promotion import Promotion
from capacity.report import find_due, read_schedule, run_due
from capacity.report.schedule import Rule, Schedule

EVENING = Promotion(id="p", kind="k", starts_at="2026-11-10T20:00+08:00", ends_at="2026-11-12T00:00+08:00")
ONE = "reports:\n- {report: forecast, before_days: 30, every_days: 7}\n"


def write(workspace, text):
    (workspace.directory / "reports.yaml").write_text(text, encoding="utf-8")


def test_the_default_is_weekly_then_daily_then_twice_after():
    found = find_due(Schedule(), [EVENING], today=date(2027, 1, 1), since=date(2026, 1, 1))
    forecast = [due.as_of for due in found if due.report == "forecast"]
    assert forecast[0] == date(2026, 8, 18)  # twelve weeks before
    assert forecast[-16:-14] == [date(2026, 10, 20), date(2026, 10, 27)]
    assert forecast[-15:] == [date(2026, 10, 27 + n) if n < 5 else date(2026, 11, n - 4) for n in range(15)]
    assert [due.as_of for due in found if due.report == "retrospective"] == [date(2026, 11, 12), date(2026, 11, 18)]


def test_a_clock_change_moves_no_day():
    rule = Rule(report="forecast", before_days=21, every_days=7)
    spring = Promotion(id="q", kind="k", starts_at="2026-04-05T20:00+02:00", ends_at="2026-04-06T20:00+02:00")
    assert [day.day for day in rule.days(spring)] == [15, 22, 29, 5]


def test_everything_wrong_in_the_file_is_told_at_once(workspace):
    write(
        workspace,
        "at: 25:00\nreports:\n- {report: forcast, before_days: 3}\n- {report: plan}\nalert: {on: [late], webhook: ftp://x}\n",
    )
    with pytest.raises(InputError) as told:
        read_schedule(workspace.directory)
    for words in ("at", "did you mean 'forecast'", "before_days or after_days", "late", "webhook"):
        assert words in str(told.value)


def test_due_pages_are_made_once_and_a_missed_day_is_caught_up(workspace, fill):
    fill(date(2026, 11, 8))
    write(workspace, ONE)
    found = run_due(workspace, today=date(2026, 10, 28), back_days=20)
    assert [(run.report, run.as_of, run.status) for run in found.runs] == [("forecast", "2026-10-27", "ok")]
    assert run_due(workspace, today=date(2026, 10, 28), back_days=20).runs == ()
    every = run_due(workspace, today=date(2026, 10, 28), back_days=20, every=True)
    assert [run.as_of for run in every.runs] == ["2026-10-13", "2026-10-20"]
    assert [run.as_of for run in run_due(workspace, today=date(2026, 11, 3)).runs] == ["2026-11-03"]


def test_who_is_to_be_told_is_told_of_failure_absence_and_change(workspace, fill):
    told = workspace.directory / "alerts.jsonl"
    write(workspace, f"{ONE}alert: {{command: [sh, -c, 'cat >> alerts.jsonl; echo >> alerts.jsonl']}}\n")
    absent = run_due(workspace, today=date(2026, 10, 13))
    assert [due.as_of.day for due, _ in absent.absent] == [13]
    fill(date(2026, 11, 8))
    run_due(workspace, today=date(2026, 10, 20))
    (workspace.directory / "told.json").write_text('{"verdict": "Not ready; $(rm x)", "x": 3.0}', encoding="utf-8")
    run_due(workspace, today=date(2026, 10, 27))
    (workspace.directory / "told.json").write_text("no JSON", encoding="utf-8")
    run_due(workspace, today=date(2026, 11, 3))
    alerts = [json.loads(line) for line in told.read_text(encoding="utf-8").splitlines() if line]
    assert [alert["reason"] for alert in alerts] == ["absent", "changed", "failed"]
    assert alerts[1]["says"] == "Not ready; $(rm x)"
    assert alerts[1]["said_before"] == "All <b>well</b>."
    assert alerts[1]["changes"] == ["x: 1.5 → 3 requests/s (+100.0%)"]
    assert alerts[1]["link"].endswith("/forecast/p/2026-10-27/index.html")
    assert "JSONDecodeError" in alerts[2]["says"]


def test_an_alert_goes_to_a_webhook_and_one_that_cannot_be_sent_is_told(workspace):
    got = []

    class Listener(BaseHTTPRequestHandler):
        def do_POST(self):
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Listener)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        address = f"http://127.0.0.1:{server.server_port}/hook"
        write(workspace, f"{ONE}alert: {{webhook: '{address}', command: [no-such-program]}}\n")
        found = run_due(workspace, today=date(2026, 10, 13))
    finally:
        server.shutdown()
        server.server_close()
    assert [alert["reason"] for alert in got] == ["absent"]
    assert len(found.problems) == 1
    assert "no-such-program" in found.problems[0]
