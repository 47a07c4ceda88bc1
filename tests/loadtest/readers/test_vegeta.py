"""Vegeta: rows, JSON lines and reports of one simulated attack, and of the known service."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from capacity.errors import InputError
from capacity.loadtest.readers import group_by_tool, recognize
from capacity.loadtest.readers.vegeta import NAME, read
from tests.loadtest.readers.simulated import Requests, by_the_clock

RATES = (20.0, 40.0, 80.0)
ATTACK = by_the_clock(RATES, step_s=15.0)


def csv_of(requests: Requests, *, attack: str = "", codes: object = 200) -> str:
    codes = np.broadcast_to(codes, requests.start_s.shape)
    rows = zip(requests.start_s, requests.latency_s, codes, strict=True)
    return "".join(
        f"{round(start * 1e9)},{code},{round(latency * 1e9)},0,9,,,{attack},{i},GET,http://a/x,aGVhZA==\n"
        for i, (start, latency, code) in enumerate(rows)
    )


def json_of(requests: Requests) -> str:
    times = np.array(np.round(requests.start_s * 1e9), dtype="datetime64[ns]")
    return "".join(
        json.dumps(
            {"attack": "", "seq": i, "code": 200, "timestamp": f"{time}Z", "latency": round(latency * 1e9)}
            | {"bytes_out": 0, "bytes_in": 9, "error": "", "body": None, "method": "GET", "url": "http://a/x"}
        )
        + "\n"
        for i, (time, latency) in enumerate(zip(times, requests.latency_s, strict=True))
    )


def test_rows_and_json_lines_agree(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(csv_of(ATTACK))
    (tmp_path / "a.json").write_text(json_of(ATTACK))
    assert list(group_by_tool(sorted(tmp_path.iterdir()))) == [NAME]
    one, other = read([tmp_path / "a.csv"]), read([tmp_path / "a.json"])
    np.testing.assert_allclose(one.steps["offered_qps"], RATES, rtol=0.02)
    np.testing.assert_allclose(one.steps["mean_ms"], 50.0, rtol=0.05)
    np.testing.assert_allclose(one.steps, other.steps, rtol=1e-3)
    assert one.requests == other.requests == {"GET http://a/x": len(ATTACK.start_s)}
    assert one.broken == ()


def test_one_run_in_both_forms_is_counted_once(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(csv_of(ATTACK))
    (tmp_path / "a.json").write_text(json_of(ATTACK))
    both = read([tmp_path / "a.csv", tmp_path / "a.json"])
    assert both.requests == {"GET http://a/x": len(ATTACK.start_s)}
    assert any("not counted twice" in note and "a.json" in note for note in both.notes)


@pytest.mark.parametrize("columns", [9, 11, 13])
def test_versions_with_other_numbers_of_columns(tmp_path: Path, columns: int) -> None:
    rows = [[*row.split(","), "more"][:columns] for row in csv_of(ATTACK, attack="x").splitlines()]
    path = tmp_path / "a.csv"
    path.write_text("\n".join(",".join(row) for row in rows))
    reading = read([path])
    np.testing.assert_allclose(reading.steps["offered_qps"], RATES, rtol=0.02)
    assert reading.broken == ()


def test_no_answer_and_refusals_fail_and_redirects_do_not(tmp_path: Path) -> None:
    codes = np.array([200, 301, 0, 500])[np.arange(len(ATTACK.start_s)) % 4]
    path = tmp_path / "a.csv"
    path.write_text(csv_of(ATTACK, codes=codes))
    reading = read([path])
    np.testing.assert_allclose(reading.steps["error_fraction"], 0.5, atol=0.01)
    np.testing.assert_allclose(reading.steps["achieved_qps"], np.array(RATES) / 2, rtol=0.02)
    assert reading.errors_counted is False


def test_files_without_a_name_of_attack_are_steps_each(tmp_path: Path) -> None:
    # Equal rates that follow at once: only the files tell them apart.
    one = by_the_clock((50.0,), step_s=20.0)
    (tmp_path / "a.csv").write_text(csv_of(one))
    (tmp_path / "b.csv").write_text(csv_of(Requests(one.start_s + 20.0, one.latency_s, one.users)))
    assert len(read(sorted(tmp_path.iterdir())).steps) == 2


def test_attackers_at_once_add_up(tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text(csv_of(ATTACK))
    np.testing.assert_allclose(read(sorted(tmp_path.iterdir())).steps["offered_qps"], 2 * np.array(RATES), rtol=0.02)


def test_only_some_requests(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(csv_of(ATTACK))
    assert len(read([path], only=["GET http://a/x"]).steps) == 3
    with pytest.raises(InputError, match="none of GET http://a/y among GET http://a/x"):
        read([path], only=["GET http://a/y"])


def report(rate: float, *, earliest: str, success: float = 0.9) -> str:
    latencies = {"total": 1, "mean": 50_000_000, "50th": 45_000_000, "90th": 70_000_000, "95th": 80_000_000}
    latencies |= {"99th": 95_000_000, "max": 99_000_000, "min": 1_000_000}
    said = {"latencies": latencies, "earliest": earliest, "latest": earliest, "end": earliest, "duration": 10**10}
    said |= {"wait": 10**9, "requests": round(10 * rate), "rate": rate, "throughput": 10 * rate * success / 11}
    return json.dumps(said | {"success": success, "status_codes": {"200": 1, "0": 2}, "errors": ["timeout"]})


TEXT = """Requests      [total, rate, throughput]         1200, 120.00, 65.87
Duration      [total, attack, wait]             10.09s, 9.949883921s, 145.082066ms
Latencies     [min, mean, 50, 90, 95, 99, max]  90.43ms, 113.172398ms, 108.272568ms, 140.1ms, 247.771566ms, 264.8ms, 1m2s
Bytes In      [total, mean]                     3714690, 3095.57
Success       [ratio]                           55.42%
Status Codes  [code:count]                      0:535  200:665
Error Set:
"""  # noqa: E501


def test_reports_are_a_step_each_in_the_order_of_time(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(report(40.0, earliest="2026-01-01T00:01:00Z"))
    (tmp_path / "b.json").write_text(report(20.0, earliest="2026-01-01T00:00:00.5Z"))
    reading = read(sorted(tmp_path.iterdir()))
    assert reading.steps["offered_qps"].tolist() == [20.0, 40.0]
    assert reading.steps["begins_s"].tolist() == [0.0, 59.5]
    assert reading.steps["p95_ms"].tolist() == [80.0, 80.0]
    np.testing.assert_allclose(reading.steps["achieved_qps"], [180 / 11, 360 / 11])
    np.testing.assert_allclose(reading.steps["error_fraction"], 0.1)


def test_a_report_as_text_by_its_labels(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text(TEXT)
    assert recognize(path).NAME == NAME
    row = read([path]).steps.iloc[0]
    assert (row["offered_qps"], row["achieved_qps"], row["p50_ms"]) == (120.0, 65.87, 108.272568)
    assert (row["p95_ms"], row["p99_ms"], row["mean_ms"]) == (247.771566, 264.8, 113.172398)
    assert row["error_fraction"] == pytest.approx(0.4458)
    # Older reports have neither a throughput nor every percentile.
    old = TEXT.replace("[total, rate, throughput]", "[total, rate]").replace("120.00, 65.87", "120.00")
    path.write_text(old.replace("50, 90, 95", "50, 95").replace("140.1ms, ", ""))
    row = read([path]).steps.iloc[0]
    assert row["achieved_qps"] == pytest.approx(1200 * 0.5542 / 10.09)
    assert row["p95_ms"] == 247.771566


def test_what_cannot_be_read_says_what_to_do(tmp_path: Path) -> None:
    gob = tmp_path / "results.bin"
    gob.write_bytes(
        b"\x7f\xff\x81\x03\x01\x01\x06Result\x01\xff\x82\x00\x01\x0c\x01\x06Attack\x01\x0c\x00\x01\x07Latency"
    )
    assert recognize(gob).NAME == NAME
    with pytest.raises(InputError, match="vegeta encode --to csv"):
        read([gob])
    plot = tmp_path / "plot.txt"
    plot.write_text("Value(ms)  Percentile  TotalCount  1/(1-Percentile)\n1.0  0.5  10  2.0\n")
    assert recognize(plot).NAME == NAME
    with pytest.raises(InputError, match="says nothing of rates"):
        read([plot])
    (tmp_path / "a.json").write_text(report(40.0, earliest="2026-01-01T00:01:00Z"))
    reading = read([gob, tmp_path / "a.json"])
    assert len(reading.steps) == 1
    assert "binary" in reading.broken[0].got


def test_the_known_service(shared_data: Path) -> None:
    folder = shared_data / "loadtests" / "vegeta"
    reading = read([folder / "steps.csv.gz"])
    steps = reading.steps
    np.testing.assert_allclose(steps["offered_qps"], [10, 25, 50, 75, 100, 115, 125, 135, 145, 160], rtol=0.01)
    below = steps["offered_qps"][steps["p95_ms"] < 300].max()
    above = steps["offered_qps"][steps["p95_ms"] >= 300].min()
    assert 140 <= np.interp(300, steps["p95_ms"][-2:], steps["offered_qps"][-2:]) <= 155
    assert (round(below), above) == (145, 160)
    # Against vegeta's own reports: below saturation they count the same requests.
    reports = read(sorted(folder.glob("*.report.json"))).steps
    np.testing.assert_allclose(reports["offered_qps"], steps["offered_qps"], rtol=0.01)
    np.testing.assert_allclose(reports["achieved_qps"][:9], steps["achieved_qps"][:9], rtol=0.03)
    np.testing.assert_allclose(reports["mean_ms"][:9], steps["mean_ms"][:9], rtol=0.05)
    assert any(g.name == "unsteady_step" and g.verdict == "flagged" and g.step == 9 for g in reading.gates)
