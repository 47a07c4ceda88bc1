"""services.yaml: everything checked at once, defaults said, contradictions refused."""

import itertools
import time

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capacity.catalog import Call, Catalog, Entry, Service, find_cycles, parse_services
from capacity.errors import InputError
from capacity.promotion import Promotion

SHOP = """
- name: shop
  tier: core
  instances: 24
  zones: 3
  entry: {per_dau: 2.0}
  calls:
    - {to: db, per_request: 2.0, retries: 2, timeout_ms: 200}
    - {to: pay, per_request: 0.5}
    - {to: stock, mode: async, max_delay_s: 1800}
    - to: hints
      per_request: 0.5
      degrade: {feature: hints, switch: hints_off, owner: growth, value_per_request: 0.02, takes_s: 30}
- {name: shop-api, tier: core, runs_on: shop, entry: {}}
- {name: db, tier: core, scalable: false, max_qps: 9000}
- {name: pay, tier: core, third_party: true}
- {name: stock, tier: non_core}
- {name: hints, tier: degradable}
"""


@pytest.fixture
def catalog():
    return parse_services(SHOP)


def says(text):
    with pytest.raises(InputError) as caught:
        parse_services(text)
    return str(caught.value)


def test_order_tiers_entries_and_pools(catalog):
    assert catalog.names == ("shop", "shop-api", "db", "pay", "stock", "hints")
    assert (catalog.core, catalog.non_core, catalog.degradable) == (
        ("shop", "shop-api", "db", "pay"),
        ("stock",),
        ("hints",),
    )
    assert catalog.entries == ("shop",)
    assert catalog.pools == ("shop", "stock", "hints")
    assert catalog.pool_of("shop-api") == "shop"
    assert catalog.pool_of("db") == "db"
    assert catalog.callers_of("db") == ("shop",)


def test_an_entry_of_zeros_is_none_and_no_entry_is_unknown():
    made = Catalog([Service(name="a", tier="core", entry=Entry()), Service(name="b", tier="core")])
    assert made.entries == ("b",)
    assert made.unknown_entries == ("b",)


def test_a_call_that_can_be_degraded_is_not_required_unless_it_says_so(catalog):
    required = {call.to: call.is_required for call in catalog["shop"].calls}
    assert required == {"db": True, "pay": True, "stock": False, "hints": False}
    given_so = Call(to="x", required=True, degrade={"feature": "f"})
    assert given_so.is_required


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("[{name: a, tier: cor}]", "did you mean 'core'?"),
        ("[{name: a}]", "a.tier: got nothing"),
        ("[{tier: core}]", "[0].name: got nothing"),
        ("[{name: a, tier: core, calls: [{to: b}]}, {name: bb, tier: core}]", "a.calls[0].to: got 'b'"),
        ("[{name: checkout, tier: core}, {name: a, tier: core, calls: [{to: chekout}]}]", "did you mean 'checkout'?"),
        ("[{name: a, tier: core}, {name: a, tier: core}]", "a.name: got 'a', expected a name of its own"),
        ("[{name: a, tier: core, calls: [{to: a}]}]", "the cycle a → a"),
        ("[{name: a, tier: core, calls: [{to: b}, {to: b}]}, {name: b, tier: core}]", "each callee once"),
        ("[{name: a, tier: core, runs_on: b}]", "a.runs_on: got 'b', expected a service"),
        ("[{name: a, tier: core, runs_on: a}]", "another service"),
        ("[{name: a, tier: core, runs_on: b}, {name: b, tier: core, runs_on: c}, {name: c, tier: core}]", "name 'c'"),
        (
            "[{name: a, tier: core, runs_on: b, third_party: true}, {name: b, tier: core}]",
            "no runs_on for a third party",
        ),
        ("[{name: a, tier: core, instances: 0}]", "at least 1"),
        ("[{name: a, tier: core, instances: 24, max_instances: 4}]", "at least the instances running today (24)"),
        ("[{name: a, tier: core, max_qps: 0}]", "more than 0"),
        ("[{name: a, tier: core, instance_cost: -1}]", "at least 0"),
        ("[{name: a, tier: core, startup_s: .nan}]", "finite"),
        ("[{name: a, tier: core, slo: {p95_ms: 300, p99_ms: 150}}]", "at most p99_ms"),
        ("[{name: a, tier: core, slo: {error_fraction: 1.5}}]", "at most 1"),
        ("[{name: a, tier: core, entry: {per_dau: -1}}]", "at least 0"),
        ("[{name: a, tier: core, entry: {extra_qps: {low: 5, mid: 1, high: 9}}}]", "at least low (5)"),
        ("[{name: a, tier: core, hot_key: {top_share: 0, max_qps: 5}}]", "more than 0"),
        ("[{name: a, tier: core, hot_key: {top_share: 0.1}}]", "a.hot_key.max_qps: got nothing"),
        ("[{name: a, tier: core, calls: [{to: b, per_request: -2}]}, {name: b, tier: core}]", "at least 0"),
        ("[{name: a, tier: core, calls: [{to: b, retries: 1.5}]}, {name: b, tier: core}]", "a whole number"),
        ("[{name: a, tier: core, calls: [{to: b, hit_fraction: 97}]}, {name: b, tier: core}]", "at most 1"),
        (
            "[{name: a, tier: core, calls: [{to: b, hit_fraction: 0.5, cold_hit_fraction: 1}]}, {name: b, tier: core}]",
            "at most hit_fraction",
        ),
        ("[{name: a, tier: core, calls: [{to: b, max_delay_s: 60}]}, {name: b, tier: core}]", "mode: async"),
        ("[{name: a, tier: core, calls: [{to: b, mode: asynch}]}, {name: b, tier: core}]", "did you mean 'async'?"),
        ("[{name: a, tier: core, counts_as: order}]", "transaction"),
        ("[{name: a, tier: core, version: 2026.10}]", "put it in quotes"),
        ("[{name: a, tier: core, new_since: yesterday}]", "a day such as"),
        ("[{name: a, tier: core, third_party: yes}]", "true or false"),
        ("{name: a, tier: core}", "begin every item with '- '"),
        ("", "an empty file"),
    ],
)
def test_bad_catalogues(text, part):
    assert part in says(text)


def test_relations_are_checked_even_where_other_keys_are_faulty():
    text = "[{name: a, tier: kore, calls: [{to: b}]}, {name: b, tier: core, calls: [{to: a, retries: x}, {to: zz}]}]"
    said = says(text)
    assert all(part in said for part in ("a.tier", "b.calls[0].retries", "the cycle a → b → a", "'zz'"))


def test_a_cycle_through_a_queue_is_a_cycle():
    assert "a → b → a" in says(
        "[{name: a, tier: core, calls: [{to: b}]}, {name: b, tier: core, calls: [{to: a, mode: async}]}]"
    )


def test_a_third_party_without_a_limit_is_an_assumption_not_an_error(catalog):
    assert any("third party without max_qps: pay" in line for line in catalog.assumptions())


def test_every_default_is_said_once_and_given_values_are_not(catalog):
    said = catalog.assumptions()
    assert len(set(said)) == len(said)
    zones = next(line for line in said if line.startswith("zones"))
    assert "stock" in zones
    assert "hints" in zones
    assert "shop" not in zones
    assert "db" not in zones
    assert not any("takes_s" in line for line in said)


def test_a_complete_service_leaves_no_assumption():
    text = """
- {name: a, tier: core, owner: t, instances: 2, zones: 2, max_instances: 9, instance_cost: 1.0, startup_s: 60,
   slo: {p99_ms: 300, error_fraction: 0.001}, entry: {per_dau: 1.0}, counts_as: transaction}
"""
    assert parse_services(text).assumptions() == ()


def test_the_terms_of_a_promotion_replace_max_qps(catalog):
    times = {"starts_at": "2026-11-10T20:00Z", "ends_at": "2026-11-12T00:00Z"}
    promotion = Promotion(id="x", kind="k", **times, third_parties=[{"name": "pay", "sla_qps": 5000}])
    assert catalog.for_promotion(promotion)["pay"].max_qps == 5000
    assert catalog["pay"].max_qps is None
    assert not any("without max_qps: pay" in line for line in catalog.for_promotion(promotion).assumptions())
    unknown = Promotion(id="x", kind="k", **times, third_parties=[{"name": "pya"}])
    with pytest.raises(InputError, match="did you mean 'pay'"):
        catalog.for_promotion(unknown)


def test_measured_calls_fill_what_the_file_leaves_out(catalog):
    frame = pd.DataFrame(
        {"caller": ["shop", "stock", "ghost"], "callee": ["db", "db", "db"], "per_request": [9.0, 0.25, 1.0]}
    )
    filled = catalog.with_calls(frame)
    assert [call.per_request for call in filled["stock"].calls] == [0.25]
    assert filled["shop"].calls == catalog["shop"].calls
    said = " ".join(filled.assumptions())
    assert "calls of stock are measured" in said
    assert "ghost → db" in said
    with pytest.raises(InputError, match="per_request"):
        catalog.with_calls(frame.drop(columns="per_request"))


def test_measured_calls_in_a_circle_are_refused(catalog):
    frame = pd.DataFrame({"caller": ["db"], "callee": ["shop"], "per_request": [1.0]})
    with pytest.raises(InputError, match="cycle"):
        catalog.with_calls(frame)


def test_an_unknown_service_is_answered_with_a_suggestion(catalog):
    with pytest.raises(InputError, match="did you mean 'stock'"):
        catalog["stok"]


def test_names_of_any_kind_stay_data():
    name = "a\"/<b>'🛒 双11"
    made = Catalog([Service(name=name, tier="core", calls=[Call(to="b")]), Service(name="b", tier="core")])
    assert made.callers_of("b") == (name,)


NODES = st.integers(0, 8)


@given(st.lists(st.tuples(NODES, NODES), max_size=20))
def test_cycles_are_found_exactly_when_there_are_some(edges):
    calls = {str(n): [] for n in range(9)}
    for a, b in edges:
        calls[str(a)].append(str(b))
    cycles = find_cycles(calls)
    for cycle in cycles:
        assert cycle[0] == cycle[-1]
        assert all(b in calls[a] for a, b in itertools.pairwise(cycle))
    # Reference: repeatedly drop services that call nobody.
    left = {n: set(c) for n, c in calls.items()}
    while ends := [n for n, c in left.items() if not c & left.keys()]:
        for n in ends:
            del left[n]
    assert bool(cycles) == bool(left)


def test_ten_thousand_services_are_read_in_seconds():
    lines = []
    for n in range(10_000):
        calls = [
            f"{{to: s{m}, per_request: 0.2, retries: 2, timeout_ms: 200}}" for m in range(n + 1, min(n + 4, 10_000))
        ]
        lines.append(
            f"- {{name: s{n}, tier: core, instances: 3, zones: 3, slo: {{p99_ms: 300}}, calls: [{', '.join(calls)}]}}"
        )
    before = time.perf_counter()
    made = parse_services("\n".join(lines))
    assert len(made.assumptions()) < 30
    assert time.perf_counter() - before < 6
    assert len(made) == 10_000
