"""Rules for Prometheus, checked and tested by the real promtool: each alert where its unit test says, nowhere else."""

import re
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from capacity.export import Source, make_export
from capacity.settings import Monitoring
from tests.export.sources import hostile_source, of_services
from tests.real_programs import real_program

RULES, TESTS = "capacity_rules.yml", "capacity_rules_test.yml"


def write(folder: Path, files: Mapping[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")


def promtool(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [real_program("promtool"), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)


def accepted(folder: Path, files: Mapping[str, str]) -> None:
    write(folder, files)
    rules = [name for name in files if not name.endswith("_test.yml")]
    checked = promtool(folder, "check", "rules", *rules)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "duplicate" not in checked.stdout + checked.stderr
    tested = promtool(folder, "test", "rules", *(name for name in files if name.endswith("_test.yml")))
    assert tested.returncode == 0, tested.stdout[-3000:] + tested.stderr[-1000:]


@pytest.fixture(scope="module")
def few(sample_source: Source) -> Source:
    return of_services(sample_source, "home", "checkout", "product-detail", "catalog-cache", "fulfilment")


def test_the_samples_rules_pass_their_own_tests(sample_source: Source, tmp_path: Path) -> None:
    made = make_export(sample_source, "prometheus")
    accepted(tmp_path, made.files)
    rules = yaml.safe_load(made.files[RULES])["groups"]
    alerts = {rule["alert"] for group in rules for rule in group["rules"] if "alert" in rule}
    tested = yaml.safe_load(made.files[TESTS])["tests"]
    fires = {one["alertname"] for test in tested for one in test["alert_rule_test"] if one["exp_alerts"]}
    silent = {one["alertname"] for test in tested for one in test["alert_rule_test"] if not one["exp_alerts"]}
    unfired = alerts - fires
    assert all(name.startswith("CapacityRestore") for name in unfired), unfired
    assert silent == alerts, "each alert is also shown where it must not fire"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (r"(record: capacity:limit_qps\n\s+expr: vector\()([0-9.]+)", r"\g<1>9\g<2>"),
        (r"(capacity:slo_latency_seconds\n\s+expr: vector\()([0-9.]+)", r"\g<1>1\g<2>"),
        (
            r"> on \(service\) group_left \(tier, owner, runbook\) 0\.9 \*",
            "> on (service) group_left (tier, owner, runbook) 0.8 *",
        ),
        (r"capacity:instances < on", "capacity:instances <= on"),
        (r"for: 5m", "for: 9m"),
        (r" and on\(\) capacity:window", ""),
        (r"severity: page", "severity: info"),
    ],
)
def test_a_wrong_rule_fails_the_tests(few: Source, tmp_path: Path, old: str, new: str) -> None:
    files = dict(make_export(few, "prometheus").files)
    changed, n = re.subn(old, new, files[RULES])
    assert n, old
    write(tmp_path, files | {RULES: changed})
    assert promtool(tmp_path, "test", "rules", TESTS).returncode != 0


@pytest.mark.parametrize("which", ["before", "first", "last", "after", "next_year"])
def test_the_window_is_this_years_to_the_second(few: Source, tmp_path: Path, which: str) -> None:
    files = dict(make_export(few, "prometheus").files)
    write(tmp_path, files)
    name = f"capacity_window_{which}_test.yml"
    assert promtool(tmp_path, "test", "rules", name).returncode == 0
    inside = which in ("first", "last")
    shift = {"before": -1, "first": 1, "last": -1, "after": 1, "next_year": 365 * 86_400}[which]
    bound = 0 if which in ("before", "first") else 1
    numbers = re.findall(r">= (\d+)|< (\d+)", files["capacity_window.yml"])
    old = numbers[bound][bound]
    moved = (
        files["capacity_window.yml"].replace(old, str(int(old) + shift))
        if which != "next_year"
        else re.sub(r" and on\(\) \(vector\(time\(\)\) < \d+\)", "", files["capacity_window.yml"])
    )
    write(tmp_path, {"capacity_window.yml": moved})
    assert promtool(tmp_path, "test", "rules", name).returncode != 0, inside


def test_names_that_would_be_syntax_stay_names(sample_source: Source, tmp_path: Path) -> None:
    hostile = hostile_source(sample_source)
    made = make_export(hostile, "prometheus")
    accepted(tmp_path, made.files)
    rules = yaml.safe_load(made.files[RULES])["groups"]
    named = {
        rule["labels"]["service"] for group in rules for rule in group["rules"] if "service" in rule.get("labels", {})
    }
    assert named == set(hostile.document["services"])
    for group in rules:
        for rule in group["rules"]:
            assert "alert" not in rule or "<script>" not in str(rule)


@pytest.mark.parametrize(
    "monitoring",
    [
        Monitoring(service_label="app"),
        Monitoring(errors="", rejected="", latency_buckets="", instances=""),
        Monitoring(
            requests='sum_total{job="edge",path!~"/health.*"}',
            cpu_fraction="avg_over_time(cpu[5m])",
            scrape_interval_s=60,
        ),
    ],
    ids=["another label", "requests alone", "matchers"],
)
def test_other_names_of_things_are_accepted(few: Source, tmp_path: Path, monitoring: Monitoring) -> None:
    settings = few.settings.model_copy(update={"monitoring": monitoring})
    accepted(tmp_path, make_export(replace(few, settings=settings), "prometheus").files)


def test_measures_are_what_they_are_called(few: Source, tmp_path: Path) -> None:
    settings = few.settings.model_copy(update={"monitoring": Monitoring(service_label="app", cpu_fraction="cpu")})
    write(tmp_path, make_export(replace(few, settings=settings), "prometheus").files)
    counters = {"200": 15 * 90, "503": 15 * 6, "429": 15 * 4}
    fed = [
        {"series": f'http_requests_total{{app="a",code="{c}",pod="{p}"}}', "values": f"0+{n}x500"}
        for c, n in counters.items()
        for p in "xy"
    ]
    fed += [{"series": f'up{{app="a",pod="{p}"}}', "values": f"{v}+0x500"} for p, v in (("x", 1), ("y", 1), ("z", 0))]
    fed += [{"series": f'cpu{{app="a",pod="{p}"}}', "values": f"{v}+0x500"} for p, v in (("x", 0.5), ("y", 0.7))]
    fed += [
        {"series": f'http_request_duration_seconds_bucket{{app="a",le="{le}"}}', "values": f"0+{n}x500"}
        for le, n in (("0.1", 900), ("0.2", 1500), ("+Inf", 1500))
    ]
    expected = {
        "capacity:requests:rate": 200.0, "capacity:rejected:rate": 8.0, "capacity:rejected:ratio": 0.04,
        "capacity:errors:ratio5m": 0.06, "capacity:instances": 2.0, "capacity:cpu_fraction": 0.6,
        'capacity:latency_seconds{quantile="0.95"}': 0.1 + 0.1 * (0.95 * 1500 - 900) / 600,
    }  # fmt: skip
    checks = []
    for name, value in expected.items():
        # Sums keep the company's label; the common name stands beside it.
        labels = '{app="a", service="a"}' if "quantile" not in name else '{app="a", quantile="0.95", service="a"}'
        samples = [{"labels": labels, "value": round(value, 6)}]
        checks.append({"expr": f"round({name}, 1e-6)", "eval_time": "30m", "exp_samples": samples})
    test = {
        "rule_files": [RULES],
        "evaluation_interval": "15s",
        "tests": [{"interval": "15s", "input_series": fed, "promql_expr_test": checks}],
    }
    write(tmp_path, {"own_test.yml": yaml.safe_dump(test)})
    done = promtool(tmp_path, "test", "rules", "own_test.yml")
    assert done.returncode == 0, done.stdout + done.stderr
