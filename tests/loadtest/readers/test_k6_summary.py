"""k6's summaries: three forms of JSON, of which one says `true` where a threshold was crossed, and text."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from capacity.loadtest.readers import recognize
from capacity.loadtest.readers.k6 import NAME, read

SUMMARY = {
    "http_req_duration": {"avg": 50.0, "med": 45.0, "p(95)": 90.0, "p(99)": 120.0, "min": 1.0, "max": 200.0},
    "http_reqs": {"count": 6000, "rate": 100.0},
    "http_req_failed": {"rate": 0.1, "passes": 600, "fails": 5400},
    "iterations": {"count": 6000, "rate": 100.0},
    "vus": {"value": 5, "min": 5, "max": 5},
}


def summary_forms(metrics: dict[str, dict[str, float]], *, crossed: bool) -> dict[str, str]:
    old = {k: dict(v) for k, v in metrics.items()}
    old["http_req_failed"]["value"] = old["http_req_failed"].pop("rate")
    old["http_req_duration"]["thresholds"] = {"p(95)<80": crossed}  # type: ignore[assignment]
    handled = {k: {"type": "trend", "contains": "time", "values": v} for k, v in metrics.items()}
    handled["http_req_duration"]["thresholds"] = {"p(95)<80": {"ok": not crossed}}
    listed = [{"name": k, "type": "x", "contains": "default", "values": dict(v)} for k, v in metrics.items()]
    for metric in listed:
        if "count" in metric["values"]:
            metric["values"].pop("rate", None)  # type: ignore[union-attr]
    return {
        "export": json.dumps({"metrics": old, "root_group": {}}),
        "handled": json.dumps({"root_group": {}, "metrics": handled, "state": {"testRunDurationMs": 60000.0}}),
        "listed": json.dumps({"version": "1.0.0", "config": {"duration": 60.0}, "results": {"metrics": listed}}),
    }


@pytest.mark.parametrize("form", ["export", "handled", "listed"])
def test_summaries_in_all_forms(tmp_path: Path, form: str) -> None:
    path = tmp_path / "summary.json"
    path.write_text(summary_forms(SUMMARY, crossed=True)[form])
    assert recognize(path).NAME == NAME
    reading = read([path])
    row = reading.steps.iloc[0]
    assert row["achieved_qps"] == pytest.approx(90.0)
    assert row["concurrency"] == 5
    assert (row["p50_ms"], row["p95_ms"], row["seconds"]) == (45.0, 90.0, 60.0)
    assert row["error_fraction"] == pytest.approx(0.1)
    if form != "listed":
        assert "thresholds crossed: http_req_duration: p(95)<80" in " ".join(reading.notes)
    if form in ("export", "handled"):
        path.write_text(summary_forms(SUMMARY, crossed=False)[form])
        assert "crossed" not in " ".join(read([path]).notes)


TEXT = """
  █ TOTAL RESULTS

    HTTP
    http_req_duration..............: avg=50ms  min=506µs    med=45.5ms  max=3.37s p(90)=70ms p(95)=1.2s
      { expected_response:true }...: avg=49ms  min=506µs    med=45ms  max=3.37s p(90)=70ms p(95)=1s
    http_req_failed................: 10.00% 600 out of 6000
    http_reqs......................: 6000   100/s

    EXECUTION
    iteration_duration.............: avg=50ms min=1ms   med=45ms  max=3s p(90)=70ms p(95)=1.2s
    iterations.....................: 6000   100/s
    vus............................: 5      min=5          max=5
    vus_max........................: 5      min=5          max=5
"""


def test_the_text_of_a_summary(tmp_path: Path) -> None:
    path = tmp_path / "summary.txt"
    path.write_text(TEXT)
    assert recognize(path).NAME == NAME
    row = read([path]).steps.iloc[0]
    assert (row["p50_ms"], row["p95_ms"], row["concurrency"], row["seconds"]) == (45.5, 1200.0, 5.0, 60.0)
    assert row["achieved_qps"] == pytest.approx(90.0)


def test_a_summary_of_several_loads_is_no_step(tmp_path: Path) -> None:
    path = tmp_path / "summary.json"
    path.write_text(summary_forms({**SUMMARY, "vus": {"min": 1, "max": 64}}, crossed=False)["export"])
    assert [(g.name, g.verdict) for g in read([path]).gates] == [("several_loads", "excluded")]


def test_a_summary_with_dropped_iterations_is_called_closed(tmp_path: Path) -> None:
    path = tmp_path / "summary.json"
    dropped = {**SUMMARY, "dropped_iterations": {"count": 1500, "rate": 25.0}, "vus": {"min": 1, "max": 64}}
    path.write_text(summary_forms(dropped, crossed=False)["handled"])
    reading = read([path])
    assert reading.steps["offered_qps"][0] == pytest.approx(125.0)
    assert [(g.name, g.verdict) for g in reading.gates] == [("closed_step_posing_as_open", "flagged")]


def test_several_summaries_are_a_staircase(tmp_path: Path) -> None:
    files = []
    for users in (20, 5, 10):
        path = tmp_path / f"{users}.json"
        scaled = {
            **SUMMARY,
            "vus": {"min": users, "max": users},
            "http_reqs": {"count": 1200 * users, "rate": 20.0 * users},
        }
        path.write_text(summary_forms(scaled, crossed=False)["export"])
        files.append(path)
    assert read(files).steps["concurrency"].tolist() == [5, 10, 20]
