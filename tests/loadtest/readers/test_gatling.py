"""Gatling: every layout says the same; groups and users; what cannot be read is said with its place."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from capacity.errors import InputError
from capacity.loadtest.readers import recognize
from capacity.loadtest.readers.gatling import read
from capacity.loadtest.reading import Reading
from capacity.loadtest.run import judge
from tests.loadtest.readers import written

TRUTH = [written.throughput(n) for n in written.USERS]
LAYOUTS = ("2.0", "2.3", "3.3", "3.10", "binary")


def log(layout: str) -> bytes:
    return written.gatling_binary() if layout == "binary" else written.gatling_text(layout).encode()


def reading_of(path: Path, data: bytes, *, only: list[str] | None = None) -> Reading:
    path.write_bytes(data)
    found = recognize(path)
    assert found is not None
    assert found.NAME == "gatling"
    return read([path], only=only)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_says_the_same(tmp_path: Path, layout: str) -> None:
    reading = reading_of(tmp_path / "simulation.log", log(layout))
    assert reading.steps["concurrency"].tolist() == list(written.USERS)
    np.testing.assert_allclose(reading.steps["achieved_qps"], TRUTH, rtol=0.03)
    assert dict(reading.requests) == {"GET /": len(written.closed_requests())}
    assert reading.started_s == written.BEGINS_MS / 1e3
    assert reading.errors_counted is False
    assert reading.broken == ()
    assert any("closed" in note for note in reading.notes)
    zipped = reading_of(tmp_path / "simulation.log.gz", gzip.compress(log(layout)))
    pd.testing.assert_frame_equal(reading.steps, zipped.steps)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_log_that_was_cut_off_gives_what_stands_before(tmp_path: Path, layout: str) -> None:
    whole = log(layout)
    reading = reading_of(tmp_path / "simulation.log", whole[: round(0.8 * len(whole)) + 3])
    np.testing.assert_allclose(reading.steps["achieved_qps"].iloc[:4], TRUTH[:4], rtol=0.03)
    assert len(reading.broken) == 1
    assert ("at byte" in reading.broken[0].where) == (layout == "binary")


def test_failures_are_no_throughput(tmp_path: Path) -> None:
    lines = written.gatling_text("3.10").splitlines()
    number = 0
    for i, line in enumerate(lines):
        if line.startswith("REQUEST"):
            number += 1
            lines[i] = line.replace("\tOK\t ", "\tKO\tstatus was 503") if number % 4 == 0 else line
    steps = reading_of(tmp_path / "simulation.log", "\n".join(lines).encode()).steps
    np.testing.assert_allclose(steps["error_fraction"], 0.25, atol=0.02)
    np.testing.assert_allclose(steps["achieved_qps"], [0.75 * x for x in TRUTH], rtol=0.05)


def test_names_that_look_like_times_or_states(tmp_path: Path) -> None:
    for name in ("1700000000000", "OK", "12", "START"):
        data = written.gatling_text("3.10").replace("GET /", name).encode()
        reading = reading_of(tmp_path / "simulation.log", data)
        assert dict(reading.requests) == {name: len(written.closed_requests())}
        np.testing.assert_allclose(reading.steps["achieved_qps"], TRUTH, rtol=0.03)


def test_users_at_a_rate_make_an_open_test(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    rows, at = [f"RUN\tpkg.Sim\tsim\t{written.BEGINS_MS}\t \t3.10.5"], 0.0
    for rate in (20.0, 40.0):
        for begins in at + np.cumsum(rng.exponential(1 / rate, round(60 * rate))):
            a, b = (written.BEGINS_MS + 1e3 * t for t in (begins, begins + rng.exponential(0.3)))
            rows += [
                f"USER\tscn\tSTART\t{a:.0f}",
                f"REQUEST\t\tGET /\t{a:.0f}\t{b:.0f}\tOK\t ",
                f"USER\tscn\tEND\t{b:.0f}",
            ]
            at = begins
    reading = reading_of(tmp_path / "simulation.log", "\n".join(rows).encode())
    np.testing.assert_allclose(reading.steps["offered_qps"], [20.0, 40.0], rtol=0.1)
    assert any("goes to and fro" in note for note in reading.notes)


def test_users_who_pause_are_told(tmp_path: Path) -> None:
    rows = [f"RUN\tpkg.Sim\tsim\t{written.BEGINS_MS}\t \t3.10.5"]
    for user in range(10):
        rows.append(f"USER\tscn\tSTART\t{written.BEGINS_MS + user}")
        for k in range(60):
            a = written.BEGINS_MS + 1000 * k + 97 * user
            rows.append(f"REQUEST\t\tGET /\t{a}\t{a + 200}\tOK\t ")
        rows.append(f"USER\tscn\tEND\t{written.BEGINS_MS + 60_000 + user}")
    reading = reading_of(tmp_path / "simulation.log", "\n".join(rows).encode())
    (thinking,) = (g for g in reading.gates if g.name == "users_think")
    assert thinking.value == pytest.approx(0.8, abs=0.05)
    assert reading.steps["concurrency"].tolist() == [pytest.approx(2.0, abs=0.1)]


def test_a_run_of_two_generators_adds_up(tmp_path: Path) -> None:
    paths = [tmp_path / "a.log", tmp_path / "b.log"]
    for path in paths:
        path.write_bytes(log("3.10"))
    reading = read(paths)
    assert reading.steps["concurrency"].tolist() == [2 * n for n in written.USERS]
    assert "several_logs" in {g.name for g in reading.gates}


def test_only_some_requests(tmp_path: Path) -> None:
    reading = reading_of(tmp_path / "simulation.log", log("3.3"), only=["GET /"])
    np.testing.assert_allclose(reading.steps["achieved_qps"], TRUTH, rtol=0.03)
    with pytest.raises(InputError, match="names that the log has"):
        read([tmp_path / "simulation.log"], only=["absent"])


def stats(**changes: object) -> dict[str, object]:
    numbers = {"total": 100, "ok": 90, "ko": 10}
    times = {"total": 50, "ok": 40, "ko": 90}
    found = {"name": "All Requests", "numberOfRequests": numbers, "meanResponseTime": times}
    found |= {f"percentiles{k}": {"total": 50 * k, "ok": 60 * k, "ko": 0} for k in range(1, 5)}
    return found | {"meanNumberOfRequestsPerSecond": {"total": 10.0, "ok": 9.0, "ko": 1.0}} | changes


@pytest.mark.parametrize("document", [stats(), {"type": "GROUP", "stats": stats(), "contents": {}}])
def test_a_summary_is_one_bounded_step(tmp_path: Path, document: dict[str, object]) -> None:
    reading = reading_of(tmp_path / "stats.json", json.dumps(document).encode())
    (step,) = reading.steps.to_dict("records")
    assert (step["achieved_qps"], step["error_fraction"], step["seconds"], step["mean_ms"]) == (9.0, 0.1, 10.0, 50.0)
    assert (step["p50_ms"], step["p95_ms"], step["p99_ms"]) == (60.0, 180.0, 240.0)
    assert {g.name for g in judge(reading) if g.verdict == "bounded"} >= {"whole_run", "too_few_steps"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"simulation": "a", "assertions": []}', "assertions, which hold no measurements"),
        (json.dumps(stats())[:-40], "a whole JSON file"),
        (json.dumps(stats(meanNumberOfRequestsPerSecond={"ok": 0})), "no requests per second"),
    ],
)
def test_what_measures_nothing_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        reading_of(tmp_path / "a.json", text.encode())


@pytest.mark.parametrize("name", ["apicurio_3u-800i_simulation.log", "simulation_binary_3.12.1-header.log"])
def test_captures_count_what_their_own_report_counts(shared_data: Path, name: str) -> None:
    folder = shared_data / "loadtests" / "gatling_samples"
    reading = read([folder / name])
    own = json.loads((folder / "apicurio_3u-800i_stats.json").read_text())
    if name.startswith("apicurio"):
        assert sum(reading.requests.values()) == own["stats"]["numberOfRequests"]["total"]
        for entry in own["contents"].values():
            assert reading.requests[entry["name"]] == entry["stats"]["numberOfRequests"]["total"]
        step = reading.steps.iloc[0]
        assert step["achieved_qps"] == pytest.approx(own["stats"]["meanNumberOfRequestsPerSecond"]["ok"], rel=0.02)
        assert step["p95_ms"] == pytest.approx(own["stats"]["percentiles3"]["total"], rel=0.05)
    assert reading.broken == ()


def test_the_binary_capture_to_its_last_byte(shared_data: Path) -> None:
    reading = read([shared_data / "loadtests" / "gatling_samples" / "simulation_binary_3.12.1-header.log"])
    assert reading.requests["Home"] == reading.requests["Home Redirect 1"] == 12
    assert any("3.12.1" in note for note in reading.notes)


def test_a_run_without_steady_load_is_refused(shared_data: Path) -> None:
    with pytest.raises(InputError, match="no stretch of steady load"):
        read([shared_data / "loadtests" / "gatling_samples" / "nuxeo_simulation-small.log"])
