"""What a plan's document says about limits beside their rates."""

import pytest

from capacity.catalog import Catalog, Service
from capacity.plan import make_plan
from capacity.settings import Risk


def changed(catalog, name, **keys):
    return Catalog.from_services(
        [
            Service.model_validate({k: getattr(s, k) for k in s.model_fields_set} | (keys if s.name == name else {}))
            for s in catalog.values()
        ]
    )


def plan_of(bench, catalog, **more):
    curves = bench.curves_of(catalog, bench.capacity)
    return make_plan(bench.peaks_of(catalog, bench.entry_qps), curves, services=catalog, risk=Risk(), **more).document


@pytest.fixture(scope="module")
def document(bench):
    return plan_of(bench, bench.shop())


def test_bursts_edges_and_budgets_add_up(document):
    services = document["services"]
    sent: dict[str, float] = {}
    for edge in document["edges"]:
        sent[edge["callee"]] = sent.get(edge["callee"], 0.0) + edge["burst_requests"]
        retried = (edge["caller"], edge["callee"]) == ("checkout", "inventory")
        assert edge["retry_budget_qps"] == pytest.approx(edge["limit_qps"] / 11 if retried else 0.0)
        assert ("key_limit_qps" in edge) == (edge["callee"] == "inventory")
    for name, burst in sent.items():
        assert burst <= services[name]["burst_requests"] * (1 + 1e-6)
    for entry in services.values():
        if entry["instance_burst_requests"] is not None:
            assert entry["instance_burst_requests"] * entry["instances"] <= entry["burst_requests"] * (1 + 1e-6)


def test_timeouts_and_slos_decide_how_large_a_burst_may_be(bench):
    tight = changed(bench.shop(), "inventory", slo={"p99_ms": 20.0})
    document = plan_of(bench, tight)["services"]
    used = document["inventory"]["cluster_limit_qps"] / document["inventory"]["safe_capacity_qps"]
    assert document["inventory"]["burst_s"] == pytest.approx(0.01 / used, rel=1e-3)
    assert document["checkout"]["burst_s"] == document["inventory"]["burst_s"]
    assert document["web"]["burst_s"] > 5 * document["checkout"]["burst_s"]


def test_what_binds_has_its_price_in_orders_and_says_so(document):
    checkout, inventory = document["services"]["checkout"], document["services"]["inventory"]
    assert checkout["limited_by"] == ["inventory"]
    assert inventory["price"]["per_qps"] == pytest.approx(1 / 2.2, rel=1e-3)  # two calls, a tenth of them twice
    assert inventory["price"]["of"] == "orders/s"
    each = inventory["safe_capacity_qps"] / inventory["surviving_instances"]
    assert inventory["price"]["per_instance"] == pytest.approx(each / 2.2, rel=1e-3)
    assert any("one more request/s at inventory admits up to 0.45 more orders/s" in text for text in checkout["why"])


def test_skew_says_what_both_variants_turn_away(document):
    web = document["services"]["web"]
    skew = web["instance_skew"]
    assert 0 < skew["safe_rejects_wrongly"]["at_limit"] < 0.15
    lost = 1 - web["surviving_instances"] / web["instances"]
    assert skew["safe_rejects_wrongly"]["zone_lost_at_limit"] >= lost - 1e-6
    assert skew["no_false_reject_qps"] > web["instance_limit_no_false_reject_qps"]
    assert document["services"]["payco"]["instance_skew"] is None


def test_cold_limits_protect_what_caches_spare(document):
    services = document["services"]
    assert services["web"]["cold_cluster_limit_qps"] < 0.5 * services["web"]["cluster_limit_qps"]
    cold = services["web"]["cold_cluster_limit_qps"] * 0.5 * 4.0 * 0.5
    assert cold <= services["catalog"]["cluster_limit_qps"] * (1 + 1e-6)
    assert services["payment"]["cold_cluster_limit_qps"] is None
    assert any("cold_cluster_limit_qps" in text for text in document["assumptions"])


def test_traps_are_flagged_with_what_they_cost(bench):
    catalog = changed(bench.shop(), "recommend", instances=3, max_instances=3)
    document = plan_of(bench, catalog)["services"]
    warned = {name: " ".join(entry["limit_warnings"]) for name, entry in document.items()}
    assert "begins" not in warned["checkout"]
    assert "turns away" in warned["checkout"]
    assert "orders" in warned["checkout"]
    assert "below the middle worst second" in warned["recommend"]
    assert "fixed one-second windows" in warned["checkout"]
    assert "rounds down to 0" not in warned["web"]
    unknown = make_plan(
        bench.peaks_of(catalog, bench.entry_qps),
        bench.curves_of(catalog, {k: v for k, v in bench.capacity.items() if k != "fulfil"}),
        services=catalog,
        risk=Risk(),
    ).document["services"]["fulfil"]
    assert unknown["limit_warnings"] == ["no limit protects it: load test it or name its max_qps"]
    assert unknown["limiter_failure"] is None
    assert unknown["burst_requests"] is None


def test_small_limits_and_unsaid_instances_are_flagged(bench):
    services = [*bench.shop().values(), Service(name="ledger", tier="core", entry={"per_dau": 0.0})]
    catalog = Catalog.from_services(services)
    peaks = bench.peaks_of(catalog, bench.entry_qps | {"ledger": 0.2})
    curves = bench.curves_of(catalog, bench.capacity | {"ledger": 0.9})
    found = make_plan(peaks, curves, services=catalog, risk=Risk()).document["services"]["ledger"]["limit_warnings"]
    assert any("rounds down to 0" in text for text in found)
    assert any("nobody said how many instances run" in text for text in found)


def test_callers_of_lower_tiers_on_a_shared_callee_are_named(bench):
    catalog = changed(bench.shop(), "index", calls=[{"to": "order-db", "per_request": 0.1}])
    warned = plan_of(bench, catalog)["services"]["order-db"]["limit_warnings"]
    assert any("from index" in text for text in warned)


def test_a_limiter_of_the_core_fails_open(document):
    found = document["services"]["checkout"]["limiter_failure"]
    assert found["choose"] == "open"
    assert found["open_loses_per_s"] < found["closed_loses_per_s"]
    assert found["open_overload_probability"] >= document["services"]["checkout"]["overload_probability"]
