"""All load tests before a promotion."""

from datetime import date
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from capacity.catalog import parse_services
from capacity.errors import InputError, NotCoveredError, UsageError
from capacity.history import Traffic
from capacity.promotion import parse_promotions
from capacity.staircase import LoadTestPlan, plan_load_tests

ZONE = "Asia/Shanghai"
SERVICES = """
- {name: shop, tier: core, owner: shop-team, instances: 6, slo: {p99_ms: 300},
   calls: [{to: cart, per_request: 0.5}, {to: bank, per_request: 0.1}]}
- {name: cart, tier: core, owner: cart-team, instances: 3, slo: {p95_ms: 100}, entry: {per_dau: 0},
   hot_key: {top_share: 0.1, max_qps: 20}, calls: [{to: db, per_request: 4}, {to: mail, mode: async}]}
- {name: db, tier: core, owner: dba, scalable: false, max_qps: 800}
- {name: mail, tier: non_core, instances: 2}
- {name: bank, tier: core, owner: pay-team, third_party: true, max_qps: 5000}
- {name: api, tier: core, owner: shop-team, runs_on: shop, slo: {p99_ms: 300}}
"""
PROMOTIONS = """
- id: next
  kind: big
  starts_at: 2026-11-10T20:00
  ends_at: 2026-11-12T00:00
  freeze: {starts_at: 2026-11-08T00:00, ends_at: 2026-11-13T00:00}
  third_parties: [{name: bank, sla_qps: 40, contact: "duty line"}]
- {id: small, kind: small, starts_at: 2026-10-21T00:00, ends_at: 2026-10-24T00:00}
"""


def weekly_traffic() -> Traffic:
    hours = pd.date_range("2026-09-15", periods=5 * 168, freq="h", tz=ZONE)
    shape = 1.2 - np.cos((hours.hour.to_numpy() - 4) / 24 * 2 * np.pi)
    frames = [
        pd.DataFrame({"ts": hours, "service": name, "requests": (3600 * level * shape).round().astype(int)})
        for name, level in (("shop", 30.0), ("cart", 15.0), ("db", 60.0))
    ]
    return Traffic.from_frame(pd.concat(frames), timezone=ZONE)


def make(services: str = SERVICES, **options: object) -> LoadTestPlan:
    promotions = parse_promotions(PROMOTIONS, timezone=ZONE)
    catalog = parse_services(services).for_promotion(promotions["next"])
    peak = {"shop": 500.0, "cart": 260.0, "db": 900.0, "mail": 200.0, "bank": 50.0, "api": 80.0}
    peak |= options.pop("peak", {})  # type: ignore[arg-type]
    known = [name for name in catalog.names if name in peak]
    values = np.tile([peak[name] for name in known], (3, 1))
    peaks = SimpleNamespace(
        as_of=date(2026, 10, 20), services=tuple(known),
        max_qps=xr.DataArray(values, dims=("sample", "service"), coords={"service": known}),
    )  # fmt: skip
    given = {"services": catalog, "traffic": weekly_traffic(), "promotions": promotions} | options
    return plan_load_tests(promotions["next"], peaks, **given)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def plan() -> LoadTestPlan:
    return make()


def test_callees_come_first_and_are_over_before_their_callers_begin(plan: LoadTestPlan) -> None:
    order = [test.service for test in plan]
    assert order.index("db") < order.index("cart") < order.index("shop")
    ends = {test.service: test.window.ends_at for test in plan if test.window}
    starts = {test.service: test.window.starts_at for test in plan if test.window}
    assert ends["db"] <= starts["cart"]
    assert ends["mail"] <= starts["cart"]
    assert ends["cart"] <= starts["shop"]
    assert plan.left_out.keys() == {"bank"}


def test_windows_keep_clear_of_freeze_promotions_and_the_first_day(plan: LoadTestPlan) -> None:
    for test in plan:
        assert test.window is not None
        assert test.window.starts_at.isoformat() >= "2026-10-24T00:00:00+08:00"  # the small one is running before
        assert test.window.ends_at.isoformat() <= "2026-11-08T00:00:00+08:00"
        length = (test.window.ends_at - test.window.starts_at).total_seconds()
        assert length >= test.staircase.duration_s
    assert plan["db"].window.business < 0.3  # type: ignore[union-attr]


def test_no_two_tests_touch_at_once(plan: LoadTestPlan) -> None:
    touched = {"db": {"db", "cart"}, "mail": {"mail", "cart"}, "cart": {"cart", "db", "mail", "shop"}}
    touched |= {"shop": {"shop", "cart", "db", "mail", "bank"}}
    tests = [test for test in plan if test.service in touched]
    for one in tests:
        for other in tests:
            if one is not other and touched[one.service] & touched[other.service]:
                assert one.window is not None
                assert other.window is not None
                assert not one.window.touches([(other.window.starts_at, other.window.ends_at)])


def test_no_room_is_said_and_not_hidden() -> None:
    crowded = make(as_of=date(2026, 11, 7))
    assert all(test.window is None for test in crowded)
    assert all("no window is free" in test.warnings[0] for test in crowded)
    assert f"{len(crowded)} find no window" in crowded.summary()
    assert crowded.to_frame()["starts_at"].isna().all()
    assert crowded.plot().frame is not None


def test_what_the_test_asks_of_others_is_counted_through_the_graph(plan: LoadTestPlan) -> None:
    loads = {one.service: one for one in plan["shop"].downstream}
    top = plan["shop"].staircase.offered_qps[-1]
    assert loads["db"].test_qps == pytest.approx(top * 0.5 * 4)
    assert loads["bank"].test_qps == pytest.approx(top * 0.1)
    assert loads["bank"].known_qps == 40  # the promotion's terms, not the catalogue's
    window = plan["shop"].window
    assert window is not None
    hours = np.arange(
        window.starts_at.hour, window.starts_at.hour + (window.ends_at - window.starts_at).seconds // 3600
    )
    busiest = (1.2 - np.cos((hours - 4) / 24 * 2 * np.pi)).max()
    assert loads["db"].usual_qps == pytest.approx(60 * busiest, rel=0.01)
    assert loads["db"].is_safe is False
    assert loads["bank"].is_safe is False
    assert loads["mail"].is_safe is None
    assert loads["db"].most_offered_qps == pytest.approx((800 - loads["db"].usual_qps) / 2)
    assert {one.service for one in plan["shop"].ceilings} == {"db", "bank"}
    said = " ".join(plan["shop"].warnings)
    # 40 a second are not passed in busy seconds either: 25 + 3 √25 = 40.
    assert loads["bank"].most_offered_qps == pytest.approx(250.0)
    first_over = next(k for k, r in enumerate(plan["shop"].staircase.offered_qps, 1) if r > 250.0)
    assert f"third party bank, above its stated limit of 40/s: the files end before step {first_over};" in said


def test_warnings_name_hot_keys_queues_pools_and_owners(plan: LoadTestPlan) -> None:
    cart = " ".join(plan["cart"].warnings)
    assert "10.0% of requests for one item" in cart
    assert "above the 20/s that one key takes" in cart
    assert "queue to mail" in cart
    assert "replay what its callers send" in cart
    assert "nobody is named as owner of mail" in " ".join(plan["mail"].warnings)
    assert "shares its instances with api" in " ".join(plan["shop"].warnings)
    assert "no latency objective" in " ".join(plan["db"].warnings)
    mocked = make(mocked=["bank"])["shop"].warnings
    assert any("bank is mocked" in line for line in mocked)
    assert not any("stated limit of 40/s" in line for line in mocked)


def test_who_is_told(plan: LoadTestPlan) -> None:
    told = {one.who: one.why for one in plan["cart"].told}
    assert told["cart-team"] == "owns cart"
    assert told["shop-team"] == "owns shop, which calls it"
    assert told["dba"] == "owns db, which gets load from it"
    # Whoever depends on a database only through others is told too, and whoever shares instances.
    far = {one.who: one.why for one in plan["db"].told}
    assert far["shop-team"] == "owns shop, which depends on it"
    assert "owns api, which shares instances with it" in {one.who: one.why for one in plan["shop"].told}["shop-team"]
    assert "duty line" in {one.who for one in plan["shop"].told}


def test_tests_of_one_pool_or_below_one_service_are_apart(plan: LoadTestPlan) -> None:
    """Two tests at once would be each other's noise, and who depends on both would suffer twice."""
    apart = [("shop", "api"), ("front", "deep"), ("left", "right")]
    text = (
        SERVICES
        + """
- {name: front, tier: core, calls: [{to: left}, {to: right}]}
- {name: left, tier: core, calls: [{to: deep}]}
- {name: right, tier: core}
- {name: deep, tier: core}
"""
    )
    for planned in (plan, make(text, peak={"front": 50.0, "left": 50.0, "right": 50.0, "deep": 50.0})):
        windows = {test.service: test.window for test in planned}
        for one, other in [*apart, ("deep", "right")]:
            a, b = windows.get(one), windows.get(other)
            if a is not None and b is not None:
                assert not a.touches([(b.starts_at, b.ends_at)])


RETRYING = """
- {name: shop, tier: core, owner: o, slo: {p99_ms: 300, error_fraction: 0.001}, calls: [{to: cart, retries: 1}]}
- {name: cart, tier: core, owner: o, slo: {p99_ms: 300},
   calls: [{to: bank, retries: 2, per_request: 0.5}, {to: db, hit_fraction: 0.9, cold_hit_fraction: 0.4},
           {to: hints, required: false, retries: 3}]}
- {name: bank, tier: core, owner: o, third_party: true, max_qps: 100000}
- {name: db, tier: core, owner: o, scalable: false, max_qps: 400}
- {name: hints, tier: core, owner: o, third_party: true, max_qps: 1700}
"""


def test_stated_limits_hold_with_the_retries_that_the_error_rule_lets_pass() -> None:
    plan = make(RETRYING, traffic=None)
    loads = {one.service: one for one in plan["shop"].downstream}
    top = plan["shop"].staircase.offered_qps[-1]
    assert [loads[n].per_request for n in ("cart", "bank", "db", "hints")] == pytest.approx([1.0, 0.5, 0.1, 1.0])
    # One request in a hundred may fail: a tenth of two attempts, 0.215 of three.
    cart, third = 1.1, 0.01 ** (1 / 3)
    assert loads["cart"].troubled_per_request == pytest.approx(cart)
    assert loads["bank"].troubled_per_request == pytest.approx(cart * 0.5 * (1 + third + third**2))
    # Nobody sees hints fail: it is tried four times.
    assert loads["hints"].troubled_per_request == pytest.approx(cart * 4)
    assert loads["db"].worst_qps == pytest.approx(top * 2 * 0.6)
    assert loads["hints"].most_offered_qps == pytest.approx(((np.sqrt(9 + 4 * 1700) - 3) / 2) ** 2 / (4 * cart))
    said = " ".join(plan["shop"].warnings)
    assert "the last step may ask too much of hints (4600 of 1700/s), db (690 of 400/s)" in said
    assert "hints, within its stated limit of 1700/s only on average, not in busy seconds or with retries" in said


def test_behind_a_mock_nothing_gets_load() -> None:
    plan = make(RETRYING, traffic=None, mocked=["cart"])
    assert [one.service for one in plan["shop"].downstream] == ["cart"]
    assert any("cart is mocked" in line for line in plan["shop"].warnings)
    assert {one.why for one in plan["shop"].told} == {"owns shop"}
    assert plan.mocked == ("cart",)
    with pytest.raises(InputError, match="carrt"):
        make(RETRYING, mocked=["carrt"])


def test_what_comes_anyway_counts_against_the_own_limit_and_is_said() -> None:
    plan = make(SERVICES.replace("max_qps: 800", "max_qps: 300"))
    stairs = plan["db"].staircase
    usual = 300.0 - stairs.offered_qps[-1]
    assert 11 < usual < 25
    assert f"with the {usual:.4g}/s that come anyway" in " ".join(stairs.why)
    assert f"its ordinary {usual:.4g}/s come beside the test" in " ".join(plan["db"].warnings)


def test_callers_give_up_before_the_objective() -> None:
    text = SERVICES.replace("{to: db, per_request: 4}", "{to: db, per_request: 4, timeout_ms: 50}")
    text = text.replace("{to: cart, per_request: 0.5}", "{to: cart, per_request: 0.5, timeout_ms: 80}")
    plan = make(text)
    assert [r.limit for r in plan["db"].staircase.stop_rules if r.watches == "p99_ms"] == [50.0]
    assert any("where callers give up, after 50 ms" in line for line in plan["db"].warnings)
    assert any(line.startswith("callers give up after 80 ms (shop), before its own") for line in plan["cart"].warnings)


def test_orders_are_marked_as_tests() -> None:
    plan = make(SERVICES.replace("owner: shop-team, instances: 6", "counts_as: transaction, instances: 6"))
    assert any("every request of it is an order" in line for line in plan["shop"].warnings)


def test_an_api_is_tested_on_its_pools_instances_and_a_fleet_shares_the_peak(plan: LoadTestPlan) -> None:
    assert plan["api"].staircase.instances == 6
    assert plan["api"].staircase.target_qps == pytest.approx(80.0)
    planned = make(fleet={"shop": 24, "cart": 3})
    assert planned["shop"].staircase.target_qps == pytest.approx(500.0 * 6 / 24)
    assert planned["api"].staircase.target_qps == pytest.approx(80.0 * 6 / 24)
    assert planned["cart"].staircase.target_qps == pytest.approx(260.0)


def test_one_service_alone(plan: LoadTestPlan) -> None:
    alone = make(only=["shop"])
    assert [test.service for test in alone] == ["shop"]
    assert alone["shop"].staircase.offered_qps == plan["shop"].staircase.offered_qps
    with pytest.raises(UsageError, match="no load test of 'bank'"):
        _ = plan["bank"]
    with pytest.raises(NotCoveredError, match="third party"):
        make(only=["bank"])


def test_without_traffic_the_nights_are_taken_and_that_is_said() -> None:
    blind = make(traffic=None)
    assert {test.window.starts_at.hour for test in blind if test.window} <= {2, 3, 4, 5}
    assert any("by custom" in line for line in blind.assumptions)


def test_it_shows_itself(plan: LoadTestPlan) -> None:
    frame = plan.to_frame()
    assert frame["order"].tolist() == list(range(1, len(plan) + 1))
    assert "<LoadTestPlan: 5 load tests before next" in repr(plan)
    assert "<table" in plan._repr_html_()
    assert plan.plot().frame.equals(frame)
    assert len(plan.plot().to_svg()) > 1000
    assert len(plan.plot("cart").to_svg()) > 1000
    assert all(plan.why[test.service] for test in plan)


def test_names_from_files_are_harmless_where_shown() -> None:
    evil = "<script>alert('x')</script>"
    shown = make(SERVICES.replace("owner: dba", f'owner: "{evil}"'))
    assert "<script>" not in shown._repr_html_()


def test_nothing_to_test() -> None:
    with pytest.raises(NotCoveredError):
        make("[{name: bank, tier: core, third_party: true}]")
