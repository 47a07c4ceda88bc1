"""The page on formats: every example in it is read by the program's own readers."""

import csv
import io
import json
import re
from datetime import date
from pathlib import Path

import pytest

from capacity.catalog import parse_services
from capacity.display.numbers import format_number
from capacity.journal import KINDS, parse_journal
from capacity.lessons import parse_lessons
from capacity.loadtest import read_load_test
from capacity.operations import parse_operations
from capacity.plan.document import check_plan_document
from capacity.promotion import parse_promotions
from capacity.report import Schedule, read_schedule
from capacity.settings import parse_settings

PAGE = Path(__file__).parents[1] / "docs" / "formats.md"
FENCE = re.compile(r"^```(\w+) file=(\S+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
EXAMPLES = {name: text for _, name, text in FENCE.findall(PAGE.read_text(encoding="utf-8"))}
ZONE = "Asia/Shanghai"


def rows(name):
    return list(csv.DictReader(io.StringIO(EXAMPLES[name])))


def test_every_example_is_read_here():
    fences = re.findall(r"^ *```(\w+)(.*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert all(rest.startswith(" file=") for language, rest in fences if language != "text")
    assert set(EXAMPLES) == {
        "capacity.toml",
        "data/promotions.yaml",
        "data/services.yaml",
        "data/operations.yaml",
        "data/lessons.yaml",
        "daily_activity.csv",
        "traffic.csv",
        "calls.csv",
        "run.yaml",
        "steps.csv",
        "plan.json",
        "journal.jsonl",
        "reports.yaml",
        "run.json",
        "metrics.json",
    }


def test_settings_leave_no_assumption():
    assert parse_settings(EXAMPLES["capacity.toml"]).assumptions() == []


def test_operations_use_every_key():
    operations = parse_operations(EXAMPLES["data/operations.yaml"], timezone=ZONE)
    assert operations.model_fields_set == set(type(operations).model_fields)
    assert operations.may_grant("release") == ("zhao.lei", "chen.min")


def test_promotions_use_every_key():
    promotions = parse_promotions(EXAMPLES["data/promotions.yaml"], timezone=ZONE)
    given = set().union(*(promotion.model_fields_set for promotion in promotions.values()))
    assert given == set(type(promotions["2026-double11"]).model_fields)
    assert promotions["2026-double11"].as_of(date(2026, 10, 12)).expected is None
    assert [phase.name for phase in promotions["2025-double11"].phases] == [
        "before",
        "opening",
        "day",
        "evening",
        "after",
    ]


def test_services_use_every_key_and_state_their_defaults_rightly():
    catalog = parse_services(EXAMPLES["data/services.yaml"])
    service = type(catalog["checkout"])
    given = set().union(*(s.model_fields_set for s in catalog.values()))
    assert given == set(service.model_fields)
    stated = re.findall(r"^  (\w+): .*left out: ([\w.]+)$", EXAMPLES["data/services.yaml"], re.MULTILINE)
    assert len(stated) >= 5
    for key, value in stated:
        default = service.model_fields[key].default
        assert value == ("none" if default is None else format_number(default)), key


def test_services_third_parties_and_promotions_fit_together():
    catalog = parse_services(EXAMPLES["data/services.yaml"])
    promotion = parse_promotions(EXAMPLES["data/promotions.yaml"], timezone=ZONE)["2026-double11"]
    assert catalog.for_promotion(promotion)["payco-gateway"].max_qps == 5000


def test_lessons():
    (lesson,) = parse_lessons(EXAMPLES["data/lessons.yaml"])
    assert lesson.quantiles.q50 == 1.06


@pytest.mark.parametrize("table", ["daily_activity", "traffic", "calls"])
def test_tables_use_every_column_of_their_contract(table):
    contracts = pytest.importorskip("capacity.history.contracts")
    contract = getattr(contracts, table.upper())
    found = rows(f"{table}.csv")
    assert set(found[0]) == set(contract.names)
    for row in found:
        assert all(row[column.name] for column in contract.columns if column.required and not column.nullable)


def test_a_load_test_in_the_plain_form(tmp_path):
    folder = tmp_path / "2026-10-20-checkout"
    folder.mkdir()
    for name in ("run.yaml", "steps.csv"):
        (folder / name).write_text(EXAMPLES[name], encoding="utf-8")
    test = read_load_test(folder, timezone=ZONE)
    assert (test.service, test.instances, len(test.steps)) == ("checkout", 4, 4)
    assert test.steps["achieved_qps"].max() == 1392.1


def test_the_plan_is_signed_and_adds_up():
    plan = json.loads(EXAMPLES["plan.json"])
    check_plan_document(plan)
    checkout = plan["services"]["checkout"]
    assert checkout["instance_limit_qps"] == pytest.approx(checkout["cluster_limit_qps"] / checkout["instances"])
    left = checkout["instances"] - checkout["instances"] // 3
    assert checkout["instance_limit_no_false_reject_qps"] == pytest.approx(checkout["cluster_limit_qps"] / left)


def test_the_journal():
    journal = parse_journal(EXAMPLES["journal.jsonl"].encode(), timezone=ZONE)
    assert [entry.kind for entry in journal] == ["incident_start", "degrade_on", "mitigated"]
    assert not journal.torn
    page = PAGE.read_text(encoding="utf-8")
    assert all(f"`{kind}`" in page for kind in KINDS)


def test_run_and_metrics():
    run = json.loads(EXAMPLES["run.json"])
    assert list(run) == ["schema", "report", "promotion", "as_of", "status", "parameters", "inputs", "versions", "code",
                         "key", "started_at", "duration_s", "error"]  # fmt: skip
    metrics = json.loads(EXAMPLES["metrics.json"])
    assert set(metrics) == {"schema", "verdict", "metrics"}
    assert all(set(metric) == {"name", "value", "unit"} for metric in metrics["metrics"])


def test_a_schedule_of_reports_uses_every_key(tmp_path):
    (tmp_path / "reports.yaml").write_text(EXAMPLES["reports.yaml"], encoding="utf-8")
    schedule = read_schedule(tmp_path)
    assert schedule.model_fields_set == set(Schedule.model_fields)
    assert schedule.alert.model_fields_set == set(type(schedule.alert).model_fields)
    given = set().union(*(rule.model_fields_set for rule in schedule.reports))
    assert given == set(type(schedule.reports[0]).model_fields)
