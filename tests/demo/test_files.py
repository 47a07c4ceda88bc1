"""The company's files are valid by the words' own readers, and say nothing that was not known then."""

import csv
import io

import pytest
import yaml

from capacity.catalog import parse_services
from capacity.demo.loadtests import COLUMNS, DEFECTS
from capacity.journal import read_journal
from capacity.promotion import parse_promotions

TARGET = "2026-double11"


@pytest.fixture(scope="module")
def promotions(company):
    return parse_promotions(company.texts["data/promotions.yaml"], timezone="Asia/Shanghai")


def test_promotions_are_valid(company, promotions):
    assert len(promotions) == 14
    assert list(promotions.of_kind("618")) == ["2024-618", "2025-618", "2026-618"]
    target = promotions[TARGET]
    assert target.actual is None  # nobody knew before the evening
    assert promotions["2026-double12"].actual is None
    assert sum(p.actual is not None for p in promotions.values()) == 12
    for promotion in promotions.values():
        assert 28 <= (promotion.starts_at.date() - promotion.expected.signed_at).days <= 35


def test_phases_of_truth_and_words_agree(company, promotions):
    for name in (TARGET, "2025-double11", "2023-double11"):
        known = {phase.name for phase in promotions[name].phases}
        assert known == set(company.truth.offered_peak_qps[name]["checkout"])


def test_catalogue_is_valid(company, other_company):
    for one in (company, other_company):
        catalog = parse_services(one.texts["data/services.yaml"], where="data/services.yaml")
        assert set(catalog.names) == set(one.truth.tiers)
        for name, capacity in one.truth.fixed_capacity_qps.items():
            assert catalog[name].max_qps == capacity
        for name, instances in one.truth.instances_now.items():
            assert catalog[name].instances == instances


def test_load_tests_carry_every_defect_and_the_plain_form(company):
    runs = {path.split("/")[2] for path in company.texts if path.startswith("data/loadtests/")}
    assert runs == set(company.truth.process["load_tests"])
    assert {r["defect"] for r in company.truth.process["load_tests"].values()} == {"", *DEFECTS}
    tested = set()
    for run in runs:
        described = yaml.safe_load(company.texts[f"data/loadtests/{run}/run.yaml"])
        tested.add(described["service"])
        rows = list(csv.DictReader(io.StringIO(company.texts[f"data/loadtests/{run}/steps.csv"])))
        assert tuple(rows[0]) == COLUMNS
        for row in rows:
            assert float(row["achieved_qps"]) > 0
            assert float(row["offered_qps"] or 1) > 0
            assert float(row["concurrency"]) > 0
    assert set(company.truth.instance_capacity_qps) - tested == {"user"}


def test_good_tests_reach_the_true_capacity(company):
    truth = company.truth
    for run, hidden in truth.process["load_tests"].items():
        described = yaml.safe_load(company.texts[f"data/loadtests/{run}/run.yaml"])
        rows = list(csv.DictReader(io.StringIO(company.texts[f"data/loadtests/{run}/steps.csv"])))
        most = max(float(row["achieved_qps"]) for row in rows) / described["instances"] / hidden["speed"]
        capacity = truth.instance_capacity_qps[described["service"]]
        if not hidden["defect"]:  # steps are 5 % apart: the last good one may lie below the capacity
            assert most > 0.93 * capacity, run
        if hidden["defect"] == "stops early":
            assert most < 0.9 * capacity, run


def test_journal_is_valid(company, tmp_path):
    path = tmp_path / f"{TARGET}.jsonl"
    path.write_text(company.texts[f"data/journal/{TARGET}.jsonl"], encoding="utf-8")
    journal = read_journal(path, timezone="Asia/Shanghai")
    kinds = {entry.kind for entry in journal}
    assert {"alert", "incident_start", "resolved", "degrade_on", "degrade_off", "limit_change", "change"} <= kinds
    switched = [entry.ref for entry in journal.of_kind("degrade_on")]
    restored = [entry.ref for entry in journal.of_kind("degrade_off")]
    assert sorted(set(switched) - set(restored)) == ["similar-items"]
