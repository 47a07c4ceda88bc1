"""capacity loadtest plan: what it prints, writes and refuses."""

import ast
import json
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from capacity.loadtest import read_load_test

AS_OF = ("--as-of", "2026-03-01")


def test_it_prints_the_tests_in_order(call: Callable[..., Any], shop: Any) -> None:
    answer = call("-w", shop, "loadtest", "plan", "2026-spring", *AS_OF)
    assert answer.code == 0
    assert answer.out.index(" db ") < answer.out.index(" shop ")
    assert "bank is a third party" in answer.out
    assert "no plan of the promotion is known" in answer.out


def test_json_has_everything_and_nothing_else(call: Callable[..., Any], shop: Any) -> None:
    answer = call("loadtest", "plan", "2026-spring", "-w", shop, *AS_OF, "--json").json
    assert answer["schema"] == "capacity.loadtest-plan/1"
    assert [test["service"] for test in answer["tests"]] == ["db", "shop"]
    shop_test = answer["tests"][1]
    rates = [step["offered_qps"] for step in shop_test["steps"]]
    assert rates == sorted(set(rates))
    assert {rule["watches"] for rule in shop_test["stop_rules"]} >= {"p99_ms", "error_fraction", "achieved_share"}
    assert shop_test["window"]["starts_at"] >= "2026-03-02T00:00:00+08:00"
    assert shop_test["window"]["ends_at"] <= "2026-03-20T20:00:00+08:00"
    assert {one["service"] for one in shop_test["downstream"]} == {"db", "bank"}
    assert answer["left_out"].keys() == {"bank"}


def test_files_are_written_and_other_files_are_never_overwritten(call: Callable[..., Any], shop: Any) -> None:
    out = shop / "tests"
    command = ("loadtest", "plan", "2026-spring", "-w", shop, *AS_OF, "--service", "shop", "--out", out)
    answer = call(*command)
    assert answer.code == 0
    assert "It ends at any of" in answer.out
    names = sorted(path.name for path in out.iterdir())
    assert names == ["02-shop.k6.js", "02-shop.locustfile.py"]
    ast.parse((out / names[1]).read_text(encoding="utf-8"))
    # The bank's stated limit is in the script, which stops before it.
    assert '"limit_qps": 5000.0' in (out / names[0]).read_text(encoding="utf-8")
    assert call(*command).code == 0
    (out / names[0]).write_text("mine", encoding="utf-8")
    refused = call(*command)
    assert refused.code == 2
    assert "02-shop.k6.js" in refused.err
    assert (out / names[0]).read_text(encoding="utf-8") == "mine"


def test_what_is_mocked_gets_no_load(call: Callable[..., Any], shop: Any) -> None:
    command = ("loadtest", "plan", "2026-spring", "-w", shop, *AS_OF, "--service", "shop", "--mocked", "bank")
    answer = call(*command, "--json").json
    assert answer["mocked"] == ["bank"]
    assert any("bank is mocked" in line for line in answer["tests"][0]["warnings"])
    printed = call(*command, "--out", shop / "mocked")
    assert "CAPACITY_MOCKED=bank" in printed.out
    unknown = call(*command, "--mocked", "banc")
    assert unknown.code == 2
    assert "bank" in unknown.err


def test_a_plan_shares_the_peak_among_its_instances(call: Callable[..., Any], shop: Any, planned: Any) -> None:
    def target(folder: Any) -> float:
        answer = call("loadtest", "plan", "2026-spring", "-w", folder, "--service", "shop", "--json").json
        return float(answer["tests"][0]["target_qps"])

    document = json.loads((planned / "out.json").read_text(encoding="utf-8"))
    instances = document["services"]["shop"]["instances"]
    left = instances - -(-instances // 3)
    assert target(planned) == pytest.approx(target(shop) * 6 / left, rel=1e-9)


def test_what_is_not_there_is_named(call: Callable[..., Any], shop: Any) -> None:
    unknown = call("loadtest", "plan", "2026-sprong", "-w", shop)
    assert unknown.code == 2
    assert "2026-spring" in unknown.err
    service = call("loadtest", "plan", "2026-spring", "-w", shop, *AS_OF, "--service", "shup")
    assert service.code == 2
    assert "shop" in service.err
    bank = call("loadtest", "plan", "2026-spring", "-w", shop, *AS_OF, "--service", "bank")
    assert bank.code == 2
    assert "third party" in bank.err


def test_reading_works_as_before(call: Callable[..., Any], shop: Any) -> None:
    folder = shop / "data" / "loadtests" / "shop-1"
    answer = call("loadtest", "read", folder, "--json").json
    assert answer["schema"] == "capacity.loadtest/1"
    assert len(answer["steps"]) == len(read_load_test(folder, timezone="UTC").steps)
    assert yaml.safe_load((folder / "run.yaml").read_text(encoding="utf-8"))["service"] == answer["service"]
