"""Small stand-ins for peaks and curves, with a documented random process behind them."""

from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

import numpy as np
import pytest
import xarray as xr

from capacity.catalog import Catalog, Service, parse_services
from capacity.plan import Plan, make_plan
from capacity.plan.network import injection, reach, read_network
from capacity.promotion import Promotion
from capacity.settings import Risk


@dataclass(frozen=True)
class FakePeaks:
    promotion: Promotion
    services: tuple[str, ...]
    entries: tuple[str, ...]
    peak_qps: xr.DataArray
    peak_at_s: xr.DataArray
    peak_tps: np.ndarray
    as_of: date = date(2026, 11, 1)
    phases: tuple[str, ...] = ("before", "opening", "day", "evening", "after")
    assumptions: tuple[str, ...] = ("peaks' assumption",)
    demand: Any = None
    entry_peak: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    seconds_known: bool = True

    def scaled(self, factor: float) -> "FakePeaks":
        return replace(
            self, peak_qps=self.peak_qps * factor, peak_tps=self.peak_tps * factor, entry_peak=self.entry_peak * factor
        )

    def entry_rates(self, sample_index, *, start_s, duration_s, step_s=1.0):
        """A spike at the start that decays within ten minutes, over a base of a tenth."""
        t = start_s + step_s * np.arange(int(np.ceil(duration_s / step_s)))
        shape = np.where(t < 0, 0.1, 0.1 + 0.9 * np.exp(-np.maximum(t - 5, 0) / 600.0))
        return self.entry_peak[np.asarray(sample_index)][:, :, None] * shape


@dataclass(frozen=True)
class FakeCurves:
    services: tuple[str, ...]
    instance_capacity_qps: xr.DataArray
    evidence: dict[str, str]
    fixed_qps: dict[str, float]
    next_step: dict[str, str] = field(default_factory=dict)
    assumptions: tuple[str, ...] = ("curves' assumption",)


PHASES = (0.1, 1.0, 0.3, 0.6, 0.1)


def promotion(**more: Any) -> Promotion:
    return Promotion.model_validate(
        {
            "id": "2026-double11", "kind": "double11",
            "starts_at": "2026-11-10T20:00+08:00", "ends_at": "2026-11-12T00:00+08:00", **more,
        }
    )  # fmt: skip


def peaks_of(
    catalog: Catalog, entry_qps: dict[str, float], *, n: int = 1000, sd: float = 0.15, seed: int = 0, **more: Any
) -> FakePeaks:
    """Entry rates with one common lognormal factor and a small own one, sent through the graph."""
    rng = np.random.default_rng(seed)
    names = tuple(catalog.names)
    entries = tuple(entry_qps)
    common = np.exp(sd * rng.standard_normal((n, 1)))
    own = np.exp(0.05 * rng.standard_normal((n, len(entries))))
    entry = common * own * np.array(list(entry_qps.values()))
    network = read_network(catalog)
    through = reach(injection([names.index(e) for e in entries], len(names)), network.matrix())
    load = np.asarray(entry @ through)
    peak = load[:, None, :] * np.array(PHASES)[None, :, None]
    at = np.broadcast_to(np.array([-60.0, 7.0, 30000.0, 80000.0, 101000.0])[None, :, None], peak.shape)
    dims = ("sample", "phase", "service")
    return FakePeaks(
        promotion(**more), names, entries, xr.DataArray(peak, dims=dims), xr.DataArray(at.copy(), dims=dims),
        peak_tps=common[:, 0] * 100.0, entry_peak=entry,
    )  # fmt: skip


def curves_of(catalog: Catalog, qps: dict[str, float], *, n: int = 1000, sd: float = 0.06, seed: int = 1) -> FakeCurves:
    """Instance capacities, lognormal around the given ones; no key: no evidence; fixed ones as the catalogue says."""
    rng = np.random.default_rng(seed)
    names = tuple(catalog.names)
    values = np.full((n, len(names)), np.nan)
    evidence, fixed = {}, {}
    for i, name in enumerate(names):
        service = catalog[name]
        noise = np.exp(sd * rng.standard_normal(n))
        if service.is_fixed and service.max_qps is not None:
            fixed[name] = service.max_qps
            values[:, i] = service.max_qps / service.instances
            evidence[name] = "sla"
        elif name in qps:
            values[:, i] = qps[name] * noise
            evidence[name] = "measured"
        else:
            evidence[name] = "none"
    return FakeCurves(names, xr.DataArray(values, dims=("sample", "service")), evidence, fixed)


SHOP = """
- name: web
  tier: core
  instances: 10
  entry: {per_dau: 3.0}
  calls:
    - {to: search, per_request: 0.4}
    - {to: detail, per_request: 0.5}
    - to: banner
      per_request: 0.3
      required: false
      degrade: {feature: banners, switch: b_off, owner: growth, value_per_request: 0.001, takes_s: 30}
- name: checkout
  tier: core
  instances: 8
  counts_as: transaction
  entry: {per_dat: 1.0}
  calls:
    - {to: inventory, per_request: 2.0, retries: 2}
    - {to: payment}
    - {to: order-db, per_request: 3.0, connections_per_instance: 10}
    - {to: fulfil, mode: async, max_delay_s: 1800}
    - to: recommend
      per_request: 0.5
      required: false
      degrade: {feature: recommendations, switch: rec_off, owner: growth, value_per_request: 0.02, takes_s: 30}
- {name: search, tier: core, instances: 6, calls: [{to: index, per_request: 1.5}]}
- name: detail
  tier: core
  instances: 6
  calls:
    - {to: cache, per_request: 4.0}
    - {to: catalog, per_request: 4.0, hit_fraction: 0.95, cold_hit_fraction: 0.5}
    - to: recommend
      per_request: 1.0
      required: false
      degrade: {feature: similar items, switch: sim_off, owner: growth, value_per_request: 0.005, takes_s: 30}
- name: inventory
  tier: core
  instances: 5
  calls: [{to: order-db, per_request: 0.5, connections_per_instance: 5}]
  hot_key: {top_share: 0.05, max_qps: 5000}
- {name: payment, tier: core, instances: 4, calls: [{to: payco}]}
- {name: payco, tier: core, third_party: true, max_qps: 4000}
- {name: order-db, tier: core, scalable: false, max_qps: 30000, max_connections: 4000}
- {name: cache, tier: core, instances: 3}
- {name: catalog, tier: core, instances: 3}
- {name: index, tier: non_core, instances: 4}
- {name: fulfil, tier: non_core, instances: 2}
- {name: banner, tier: degradable, instances: 2}
- {name: recommend, tier: degradable, instances: 3}
- {name: admin, tier: non_core, instances: 1, entry: {per_dau: 0.0}}
- {name: render, tier: core, runs_on: web, entry: {per_dau: 1.0}}
"""


def shop() -> Catalog:
    """Sixteen services with a cache, a database, a queue and a third party, all in three zones."""
    defaults = {"zones": 3, "instance_cost": 1.0, "startup_s": 240, "owner": "team"}
    services = []
    for service in parse_services(SHOP).values():
        given = {key: getattr(service, key) for key in service.model_fields_set}
        plain = service.third_party or service.runs_on
        services.append(Service.model_validate(given if plain else defaults | given))
    return Catalog.from_services(services)


ENTRY_QPS = {"web": 6000.0, "checkout": 1000.0, "render": 800.0}
CAPACITY = {
    "web": 300.0, "checkout": 60.0, "search": 200.0, "detail": 250.0, "inventory": 220.0, "payment": 150.0,
    "cache": 3000.0,
    "catalog": 300.0, "index": 400.0, "fulfil": 100.0, "banner": 500.0, "recommend": 400.0,
    "admin": 100.0, "render": 300.0,
}  # fmt: skip


def changed(catalog: Catalog, name: str, **keys: Any) -> Catalog:
    """Give one service other keys, checked as a file's would be."""
    services = [
        Service.model_validate({k: getattr(s, k) for k in s.model_fields_set} | (keys if s.name == name else {}))
        for s in catalog.values()
    ]
    return Catalog.from_services(services)


class Bench:
    """What the tests build plans from."""

    shop = staticmethod(shop)
    peaks_of = staticmethod(peaks_of)
    curves_of = staticmethod(curves_of)
    entry_qps = ENTRY_QPS
    capacity = CAPACITY


@pytest.fixture(scope="session")
def bench() -> Bench:
    return Bench()


@pytest.fixture(scope="session", name="shop")
def shop_inputs(bench: Bench) -> tuple[Catalog, FakePeaks, FakeCurves]:
    catalog = bench.shop()
    return catalog, bench.peaks_of(catalog, bench.entry_qps), bench.curves_of(catalog, bench.capacity)


@pytest.fixture(scope="session")
def plan(shop: tuple[Catalog, FakePeaks, FakeCurves]) -> Plan:
    catalog, peaks, curves = shop
    return make_plan(peaks, curves, services=catalog, risk=Risk())
