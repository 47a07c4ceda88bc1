"""Plans of companies of every make, judged by counts and sums made here and nowhere in the package."""

from dataclasses import dataclass

import numpy as np
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from capacity.catalog import Call, Catalog, Service
from capacity.catalog.service import Degrade, Entry, HotKey
from capacity.plan import Plan, make_plan
from capacity.settings import Risk
from tests.plan.conftest import PHASES, FakeCurves, FakePeaks, promotion

TOLERANCE = 1 + 1e-6


@dataclass(frozen=True)
class Company:
    """A company, its futures, and the plan of it."""

    catalog: Catalog
    peaks: FakePeaks
    curves: FakeCurves
    risk: Risk
    peak: np.ndarray
    capacity: np.ndarray

    def plan(self, demand: float = 1.0) -> Plan:
        peaks = self.peaks if demand == 1.0 else self.peaks.scaled(demand)
        return make_plan(peaks, self.curves, services=self.catalog, risk=self.risk)


def call(rng: np.random.Generator, to: str) -> Call:
    keys = {"to": to, "per_request": float(rng.choice([0.1, 0.5, 1, 3])), "retries": int(rng.choice([0, 0, 1, 3]))}
    kind = rng.random()
    if kind < 0.15:
        keys |= {"mode": "async", "max_delay_s": float(rng.choice([0, 60, 1800]))}
    elif kind < 0.35:
        value = float(rng.choice([0, 0.01, 1]))
        keys |= {"required": False, "degrade": Degrade(feature=f"f{rng.integers(4)}", value_per_request=value)}
    if rng.random() < 0.2:
        hits = float(rng.choice([0.5, 0.9]))
        keys |= {"hit_fraction": hits, "cold_hit_fraction": hits * float(rng.choice([0, 0.5]))}
    if rng.random() < 0.1:
        keys["connections_per_instance"] = 10.0
    return Call(**keys)


def service(rng: np.random.Generator, name: str, later: list[str], earlier: list[Service]) -> Service:
    calls = tuple(call(rng, to) for to in later if rng.random() < min(2.0 / max(len(later), 1), 0.8))
    tier = str(rng.choice(["core", "non_core", "degradable"], p=[0.6, 0.25, 0.15]))
    entry = Entry(per_dau=1.0) if not earlier or rng.random() < 0.25 else Entry()
    keys = {"name": name, "tier": tier, "owner": "o", "calls": calls, "entry": entry}
    hosts = [s.name for s in earlier if s.has_pool]
    kind = str(rng.choice(["pool", "fixed", "third", "guest"], p=[0.75, 0.1, 0.08, 0.07])) if earlier else "pool"
    if kind == "fixed":
        return Service(**keys, scalable=False, max_qps=float(rng.choice([50, 1000, 20000])))
    if kind == "third":
        return Service(
            **keys, third_party=True, **({} if rng.random() < 0.3 else {"max_qps": float(rng.choice([50, 2000]))})
        )
    if kind == "guest" and hosts:
        return Service(**keys, runs_on=str(rng.choice(hosts)))
    now = int(rng.choice([1, 3, 10]))
    keys |= {
        "instances": now,
        "zones": int(rng.choice([1, 2, 3, 5])),
        "instance_cost": float(rng.choice([0, 0.5, 1000])),
    }
    if rng.random() < 0.3:
        keys["max_instances"] = now + int(rng.choice([0, 5, 50]))
    if rng.random() < 0.15:
        keys["hot_key"] = HotKey(top_share=0.1, max_qps=float(rng.choice([20, 500])))
    if rng.random() < 0.1:
        keys["max_connections"] = float(rng.choice([20, 1000]))
    return Service(**keys)


def wobble(rng: np.random.Generator, samples: int, entries: int) -> np.ndarray:
    """Demand: lognormal, heavy-tailed, of two kinds of evening, or one entry's gain another's loss."""
    common = rng.standard_normal((samples, 1))
    own = np.exp(0.1 * rng.standard_normal((samples, entries)))
    kinds = [
        np.exp(0.2 * common) * own,
        np.exp(0.15 * rng.standard_t(3, (samples, 1)).clip(-15, 15)) * np.ones((1, entries)),
        np.where(rng.random((samples, 1)) < 0.1, 2.5, 1.0) * own,
        np.exp(0.2 * common * np.where(np.arange(entries) % 2, 1, -1)),
    ]
    return kinds[rng.integers(len(kinds))]


def company(seed: int) -> Company:
    rng = np.random.default_rng(seed)
    size, samples = int(rng.choice([1, 3, 8, 15, 25])), int(rng.choice([50, 300, 1000]))
    names = [f"s{i}" for i in range(size)]
    services: list[Service] = []
    for i, name in enumerate(names):
        services.append(service(rng, name, names[i + 1 :], services))
    entries = [i for i, s in enumerate(services) if s.entry is not None and not s.entry.is_none]
    factor = wobble(rng, samples, len(entries))
    entry = factor * np.exp(rng.normal(4.5, 1, len(entries)))
    calls = np.zeros((size, size))
    for i, one in enumerate(services):
        for c in one.calls:
            calls[i, names.index(c.to)] += c.calls_reaching()
    load = entry @ np.linalg.inv(np.eye(size) - calls)[entries]
    peak = load[:, None, :] * np.array(PHASES)[None, :, None]
    at = np.broadcast_to(np.array([-60.0, 7.0, 30000.0, 80000.0, 101000.0])[None, :, None], peak.shape).copy()
    dims = ("sample", "phase", "service")
    peaks = FakePeaks(
        promotion(), tuple(names), tuple(names[i] for i in entries), xr.DataArray(peak, dims=dims),
        xr.DataArray(at, dims=dims), peak_tps=factor[:, 0] * 100, entry_peak=entry,
    )  # fmt: skip
    capacity, evidence = np.full((samples, size), np.nan), dict.fromkeys(names, "none")
    for i, one in enumerate(services):
        if one.is_fixed:
            evidence[one.name] = "sla"
            capacity[:, i] = np.nan if one.max_qps is None else one.max_qps / one.instances
        elif rng.random() > 0.07:
            noise = rng.choice([0.02, 0.1, 0.4]) * rng.standard_normal(samples)
            capacity[:, i], evidence[one.name] = np.exp(rng.normal(3.5, 0.7) + noise), "measured"
    fixed = {s.name: s.max_qps for s in services if s.is_fixed and s.max_qps is not None}
    curves = FakeCurves(tuple(names), xr.DataArray(capacity, dims=("sample", "service")), evidence, fixed)
    risk = Risk(
        overload_probability=float(rng.choice([0.005, 0.05, 0.3])),
        non_core_overload_probability=float(rng.choice([0.2, 0.5])),
        zone_losses=int(rng.choice([0, 1, 1, 2])),
        utilization_ceiling=float(rng.choice([1.0, 0.8])),
    )
    return Company(Catalog.from_services(services), peaks, curves, risk, peak, capacity)


def left_after_loss(made: Company, plan: Plan, name: str) -> int:
    host = made.catalog.pool_of(name)
    count, zones = plan.document["services"][host]["instances"], made.catalog[host].zones
    lost = made.risk.zone_losses if zones > made.risk.zone_losses else 0
    return count - lost * (count // zones) - min(lost, count % zones)


def overloads(made: Company, plan: Plan) -> np.ndarray:
    """Futures in which each service gets more than it takes, (sample, service), nothing being switched off."""
    names = list(made.catalog.names)
    at_once = np.array([plan.document["services"][name]["carried_at_once_fraction"] or 1.0 for name in names])
    load = made.peak * at_once
    over = np.zeros((len(load), len(names)), dtype=bool)
    for i, (name, one) in enumerate(made.catalog.items()):
        roofs = [one.max_qps] if one.is_fixed and one.max_qps is not None else []
        roofs += [one.hot_key.max_qps / one.hot_key.top_share] if one.hot_key is not None else []
        for roof in roofs:
            over[:, i] |= (load[:, :, i] > roof * TOLERANCE).any(axis=1)
        pool = [
            k
            for k, other in enumerate(names)
            if made.catalog.pool_of(other) == made.catalog.pool_of(name)
            and not made.catalog[other].is_fixed
            and np.isfinite(made.capacity[:, k]).all()
        ]
        if i in pool:
            work = sum(load[:, :, k] / made.capacity[:, k, None] for k in pool).max(axis=1)
            over[:, i] |= work > left_after_loss(made, plan, name) * TOLERANCE
    return over


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_what_is_promised_is_what_a_count_finds(seed):
    made = company(seed)
    plan = made.plan()
    told = plan.document["core_overload_probability"]
    if any(rung["planned"] for rung in plan.document["degradation"]) or told is None:
        return
    core = [i for i, one in enumerate(made.catalog.values()) if one.tier == "core"]
    found = overloads(made, plan)[:, core]
    assert float(found.any(axis=1).mean()) <= told + 1e-9
    if plan.feasible:
        assert told <= made.risk.overload_probability + 1e-9


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_all_limits_at_once_push_nothing_past_what_it_safely_takes(seed):
    made = company(seed)
    plan = made.plan()
    entries, names = plan.document["services"], list(made.catalog.names)
    known = {name: entries[name]["safe_capacity_qps"] for name in names}
    let_in, by_edge = dict.fromkeys(names, 0.0), dict.fromkeys(names, 0.0)
    for name, one in made.catalog.items():
        limit = entries[name]["cluster_limit_qps"]
        if limit is None:
            continue
        assert known[name] is None or limit <= known[name] * TOLERANCE
        share = entries[name]["instance_limit_qps"]
        assert share is None or share * entries[name]["instances"] <= limit * TOLERANCE
        for c in one.calls:
            if c.is_required:
                let_in[c.to] += limit * c.calls_reaching() * (1.0 + min(c.retries, 0.1))
    for edge in plan.document["edges"]:
        by_edge[edge["callee"]] += edge["limit_qps"] or 0.0
    for name in names:
        if known[name] is not None:
            assert let_in[name] <= known[name] * TOLERANCE + 1e-9, name
            assert by_edge[name] <= known[name] * TOLERANCE + 1e-9, name


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_cost_rises_with_demand_and_with_certainty_and_stays_above_its_bound(seed):
    made = company(seed)
    plan = made.plan()
    cost, entries = plan.document["cost"], plan.document["services"]
    assert cost["per_hour_bound"] is None or cost["per_hour_bound"] <= cost["per_hour_peak"] * TOLERANCE
    rows = plan.document["frontier"]["by_risk"]
    costs = [row["cost_per_hour"] for row in rows]
    assert costs == sorted(costs)
    own = [r["cost_per_hour"] for r in rows if r["overload_probability"] == made.risk.overload_probability]
    assert all(abs(c - cost["per_hour_peak"]) <= 1e-6 * max(c, 1.0) for c in own)
    for name in made.catalog.names:
        quota = made.catalog[made.catalog.pool_of(name)].max_instances
        assert entries[name]["instances"] >= entries[name]["instances_now"]
        assert quota is None or entries[name]["instances"] <= max(quota, entries[name]["instances_now"])
    more = made.plan(demand=1.3)
    if more.feasible or plan.feasible:
        # Of two plans that both break their promise, the one that more futures are lost to anyway may cost less.
        assert more.document["cost"]["per_hour_peak"] >= cost["per_hour_peak"] * (1 - 1e-9)
