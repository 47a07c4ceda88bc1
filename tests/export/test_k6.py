"""The generated k6 script, played in virtual time by node with stand-ins for k6's modules; k6 itself is not run."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from capacity.export import k6_script
from capacity.loadtest import discover, read_load_test
from capacity.staircase import Downstream, Staircase
from tests.export.conftest import RATES, hard_limit, make_test

Play = Callable[..., dict[str, Any]]
PLAYER = Path(__file__).parent / "k6" / "play.mjs"


@pytest.fixture(scope="session")
def node() -> str:
    found = shutil.which("node")
    if found is None:
        pytest.skip("node is not installed: the k6 script cannot be played")
    return found


@pytest.fixture
def play(node: str, tmp_path: Path) -> Play:
    def run(test: Staircase, *limits: Downstream, slots: int = 20, **settings: Any) -> dict[str, Any]:
        script = tmp_path / "loadtest.js"
        script.write_text(k6_script(test, limits=limits), encoding="utf-8")
        env = {"CAPACITY_HOST": "http://service.example", "CAPACITY_OUT": str(tmp_path / "out")} | settings.pop(
            "env", {}
        )
        told = json.dumps({"slots": slots, "service_ms": 45, "env": env} | settings)
        done = subprocess.run([node, str(PLAYER), str(script), told], capture_output=True, text=True, timeout=60)
        if done.returncode != 0:
            raise RuntimeError(done.stderr)
        found: dict[str, Any] = json.loads(done.stdout)
        found["files"] = {Path(name).name: text for name, text in found["files"].items()}
        return found

    return run


def stop_of(played: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(played["files"]["stop.json"])
    return found


def test_without_trouble_every_step_is_run_and_read_back(play: Play, tmp_path: Path) -> None:
    played = play(make_test(), env={"CAPACITY_ENVIRONMENT": "production"})
    assert played["ended"] is None
    assert stop_of(played)["rule"] == "offered_qps"
    assert [played["started"][f"step_{k + 1:02d}"] for k in range(4)] == pytest.approx(
        [60 * r for r in RATES], rel=0.01
    )
    for name in ("steps.csv", "run.yaml"):
        (tmp_path / "run").mkdir(exist_ok=True)
        (tmp_path / "run" / name).write_text(played["files"][name], encoding="utf-8")
    test = read_load_test(tmp_path / "run", timezone="UTC")
    assert test.steps["offered_qps"].to_numpy() == pytest.approx(RATES, rel=0.02)
    assert test.steps["achieved_qps"].to_numpy() == pytest.approx(RATES, rel=0.02)
    assert test.steps["mean_ms"].between(44, 50).all()
    assert (test.service, test.instances, test.target_qps) == ("shop", 2, 115.0)


def test_k6s_own_csv_of_it_is_read_as_the_same_steps(play: Play, tmp_path: Path) -> None:
    env = {"CAPACITY_PROMETHEUS": "http://prometheus.example", "CAPACITY_CPU_QUERY": "cpu"}
    played = play(make_test(), env=env, monitoring={"cpu": 0.5}, rows=True)
    names = ["metric_name", "timestamp", "metric_value", "expected_response", "group", "name", "scenario", "status"]
    with (tmp_path / "k6.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        for end_s, ms, scenario, name, group, status in sorted(played["rows"]):
            writer.writerow(["http_req_duration", int(1.7e9 + end_s), ms, "true", group, name, scenario, status])
    test = discover(tmp_path / "k6.csv").load_test()
    own = list(csv.DictReader(played["files"]["steps.csv"].splitlines()))
    assert test.tool == "k6"
    assert len(test.steps) == len(own) == len(RATES)
    for name in ("achieved_qps", "mean_ms", "p95_ms"):
        assert test.steps[name].to_numpy() == pytest.approx([float(row[name]) for row in own], rel=0.03)
    assert sum(row[4] == "::monitoring" for row in played["rows"]) > 20  # and none of them counts


def test_the_load_is_not_raised_once_the_objective_breaks(play: Play) -> None:
    # Five slots of 45 ms take 111 requests/s at most: at 100 they queue.
    played = play(make_test(), slots=5)
    assert set(played["started"]) == {"step_01", "step_02"}
    assert (stop_of(played)["rule"], stop_of(played)["step"]) == ("p95_ms", 2)
    assert "objective" in stop_of(played)["says"]
    rows = list(csv.DictReader(played["files"]["steps.csv"].splitlines()))
    assert len(rows) == 2
    assert float(rows[0]["p95_ms"]) <= 100 < float(rows[1]["p95_ms"])


def test_a_step_just_above_the_objective_is_finished_and_not_followed(play: Play) -> None:
    easy = play(make_test(p95_ms=1000.0), slots=5)
    second = float(list(csv.DictReader(easy["files"]["steps.csv"].splitlines()))[1]["p95_ms"])
    played = play(make_test(p95_ms=0.9 * second), slots=5)
    assert set(played["started"]) == {"step_01", "step_02"}
    assert 114 <= played["ended"]["at"] <= 120


def test_errors_end_it_within_seconds(play: Play) -> None:
    played = play(make_test(), fail_from_s=70.0)
    assert stop_of(played)["rule"] == "error_fraction"
    assert 70 < played["ended"]["at"] <= 76
    assert set(played["started"]) == {"step_01", "step_02"}


def test_a_server_far_behind_ends_it_without_any_latency_objective(play: Play) -> None:
    played = play(make_test(error_fraction=0.01), slots=3)
    assert stop_of(played)["rule"] == "generator_late_fraction"
    assert set(played["started"]) == {"step_01", "step_02"}


def test_a_stated_limit_downstream_is_not_passed_unless_it_is_mocked(play: Play) -> None:
    played = play(make_test(), hard_limit("bank", 105.0))
    assert set(played["started"]) == {"step_01", "step_02"}
    assert stop_of(played) == {"rule": "downstream_limit", "service": "bank", "limit_qps": 105}
    mocked = play(make_test(), hard_limit("bank", 105.0), env={"CAPACITY_MOCKED": "cdn,bank"})
    assert len(mocked["started"]) == 4
    assert yaml.safe_load(mocked["files"]["run.yaml"])["mocked"] == ["cdn", "bank"]


def test_one_key_takes_only_so_much(play: Play) -> None:
    test = replace(make_test(), hot_key_qps=105.0)
    played = play(test)
    assert set(played["started"]) == {"step_01", "step_02"}
    assert stop_of(played)["rule"] == "hot_key"
    assert len(play(test, env={"CAPACITY_HOT_SHARE": "0.5"})["started"]) == 4


def test_a_run_is_never_written_over(play: Play, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="CAPACITY_OUT is no full path"):
        play(make_test(), env={"CAPACITY_OUT": "out"})
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "run.yaml").write_text("mine", encoding="utf-8")
    with pytest.raises(RuntimeError, match="holds a run already"):
        play(make_test())


def test_every_option_is_one_that_k6_knows(play: Play) -> None:
    """Names and forms by k6's documentation: a misspelt one would be left out, and the test not end."""
    options = play(make_test())["options"]
    assert set(options) == {"scenarios", "thresholds", "summaryTrendStats", "discardResponseBodies"}
    for scenario in options["scenarios"].values():
        assert set(scenario) == {
            "executor", "exec", "rate", "timeUnit", "duration", "startTime", "preAllocatedVUs", "maxVUs",
            "gracefulStop",
        }  # fmt: skip
        assert scenario["executor"] == "constant-arrival-rate"
        assert all(type(scenario[name]) is int for name in ("rate", "preAllocatedVUs", "maxVUs"))
        assert scenario["maxVUs"] >= scenario["preAllocatedVUs"]
    for key, rules in options["thresholds"].items():
        assert re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]+\{[a-z]+:\w+(,[a-z]+:\w+)*\}", key)
        for rule in rules:
            text = rule if isinstance(rule, str) else rule["threshold"]
            assert re.fullmatch(r"(count|rate|max|p\(\d+\))(<=|>=|<)[0-9.e-]+", text)
            assert isinstance(rule, str) or set(rule) == {"threshold", "abortOnFail", "delayAbortEval"}
            assert isinstance(rule, str) or re.fullmatch(r"\d+s", rule["delayAbortEval"])


@pytest.mark.parametrize(
    ("monitoring", "rule"),
    [({"cpu": 0.99}, "cpu_fraction"), ({}, "monitoring"), ({"cpu": 0.5}, "offered_qps")],
)
def test_what_the_monitoring_sees_ends_it(play: Play, monitoring: dict[str, float], rule: str) -> None:
    env = {"CAPACITY_PROMETHEUS": "http://prometheus.example", "CAPACITY_CPU_QUERY": "cpu"}
    played = play(make_test(), env=env, monitoring=monitoring)
    assert stop_of(played)["rule"] == rule
    if rule == "offered_qps":
        rows = csv.DictReader(played["files"]["steps.csv"].splitlines())
        assert {row["cpu_fraction"] for row in rows} == {"0.5"}
    else:
        assert set(played["started"]) <= {"step_01", "watch"}


def test_requests_come_as_irregularly_as_those_of_people(play: Play) -> None:
    # Evenly spaced, 100 requests/s of 45 ms at five slots would hardly queue.
    spread, even = play(make_test(), slots=5), play(make_test(), slots=5, env={"CAPACITY_SPREAD_S": "0.001"})
    p95 = [float(list(csv.DictReader(p["files"]["steps.csv"].splitlines()))[1]["p95_ms"]) for p in (spread, even)]
    assert p95[0] > 1.1 * p95[1]
