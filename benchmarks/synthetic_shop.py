"""A company of any size for timing plans: a random acyclic call graph, joint lognormal demand, capacities with spread.

Everything a catalogue can hold is there: tiers, pools of several APIs, quotas, databases and third parties that do not
scale, queues, caches, retries, hot keys, connections, optional calls with a switch. Entry rates share one lognormal
factor and have one of their own each; every service's worst second is theirs through the graph with a wobble of its
own, so that no two pools fail in the same futures alone.
"""

from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np
import xarray as xr

from capacity.catalog import Catalog, Service
from capacity.plan.network import injection, reach, read_network
from capacity.promotion import Promotion

PHASES = {"before": 0.1, "opening": 1.0, "day": 0.3, "evening": 0.6, "after": 0.1}
_PEAK_AT_S = (-60.0, 7.0, 30_000.0, 80_000.0, 101_000.0)
_LAYERS = 7
FEATURES = 30


@dataclass(frozen=True)
class Peaks:
    """What `make_plan` reads of peaks."""

    promotion: Promotion
    services: tuple[str, ...]
    entries: tuple[str, ...]
    peak_qps: xr.DataArray
    peak_at_s: xr.DataArray
    peak_tps: np.ndarray[Any, Any]
    entry_peak: np.ndarray[Any, Any]
    as_of: date = date(2026, 11, 1)
    phases: tuple[str, ...] = tuple(PHASES)
    assumptions: tuple[str, ...] = ()
    demand: Any = None

    def entry_rates(
        self, sample_index: Any, *, start_s: float, duration_s: float, step_s: float = 1.0
    ) -> np.ndarray[Any, Any]:
        """Return a spike at the start that decays within ten minutes, over a base of a tenth."""
        t = start_s + step_s * np.arange(int(np.ceil(duration_s / step_s)))
        shape = np.where(t < 0, 0.1, 0.1 + 0.9 * np.exp(-np.maximum(t - 5, 0) / 600.0))
        return np.asarray(self.entry_peak[np.asarray(sample_index)][:, :, None] * shape)


@dataclass(frozen=True)
class Curves:
    """What `make_plan` reads of curves."""

    services: tuple[str, ...]
    instance_capacity_qps: xr.DataArray
    evidence: dict[str, str]
    fixed_qps: dict[str, float]
    next_step: dict[str, str] = field(default_factory=dict)
    assumptions: tuple[str, ...] = ()


def make_company(
    n_services: int, n_edges: int, n_samples: int, *, entries: int = 20, seed: int = 0
) -> tuple[Catalog, Peaks, Curves]:
    """Return a catalogue, peaks and curves that fit together.

    Parameters
    ----------
    n_services, n_edges, n_samples : int
    entries : int
        Services with traffic from outside; one in five of them counts transactions.
    seed : int
    """
    rng = np.random.default_rng(seed)
    names = tuple(f"service-{i:05d}" for i in range(n_services))
    rate = rng.uniform(100, 3000, entries)
    edges = _edges(rng, n_services, n_edges, entries)
    plain = Catalog.from_services([_service(rng, names, i, edges.get(i, []), entries) for i in range(n_services)])
    through = reach(injection(range(entries), n_services), read_network(plain).matrix())
    typical = np.asarray(rate @ through)
    each = np.exp(rng.uniform(np.log(30), np.log(500), n_services))
    catalog = _with_sizes(rng, plain, typical, each)
    entry = rate * np.exp(0.2 * rng.standard_normal((n_samples, 1)) + 0.08 * rng.standard_normal((n_samples, entries)))
    load = np.asarray(entry @ through) * np.exp(0.05 * rng.standard_normal((n_samples, n_services)))
    return catalog, _peaks(names, entry, load, entries), _curves(rng, catalog, each, n_samples)


def _edges(rng: np.random.Generator, n: int, m: int, entries: int) -> dict[int, list[int]]:
    """Callees by caller: from each layer to the next ones, entries first; everything but entries is called."""
    layer = np.concatenate([np.zeros(entries, int), np.sort(rng.integers(1, _LAYERS, n - entries))])
    first = np.searchsorted(layer, np.arange(_LAYERS + 1))
    found: set[tuple[int, int]] = set()
    for i in range(entries, n):
        found.add((int(rng.integers(first[layer[i] - 1], max(first[layer[i]], first[layer[i] - 1] + 1))), i))
    while len(found) < m:
        i = int(rng.integers(0, first[_LAYERS - 1]))
        found.add((i, int(rng.integers(first[layer[i] + 1], n))))
    out: dict[int, list[int]] = {}
    for i, j in sorted(found):
        out.setdefault(i, []).append(j)
    return out


def _service(
    rng: np.random.Generator, names: tuple[str, ...], i: int, callees: list[int], entries: int
) -> dict[str, Any] | Service:
    tier = "core" if i < entries else str(rng.choice(["core", "non_core", "degradable"], p=[0.5, 0.3, 0.2]))
    calls = [_call(rng, names[i], names[j]) for j in callees]
    more: dict[str, Any] = {"entry": {"per_dau": 1.0}} if i < entries else {}
    if i < entries and i % 5 == 0:
        more = {"entry": {"per_dat": 1.0}, "counts_as": "transaction"}
    return Service.model_validate({"name": names[i], "tier": tier, "owner": f"team-{i % 40}", "calls": calls, **more})


def _call(rng: np.random.Generator, caller: str, callee: str) -> dict[str, Any]:
    call: dict[str, Any] = {"to": callee, "per_request": float(rng.uniform(0.05, 0.6)), "retries": int(rng.integers(3))}
    kind = rng.random()
    if kind < 0.03:
        call |= {"mode": "async", "max_delay_s": 1800}
    elif kind < 0.08:
        call |= {"hit_fraction": 0.9, "cold_hit_fraction": 0.5}
    elif kind < 0.13:
        feature = f"feature {sum(caller.encode()) % FEATURES}"
        call |= {"required": False, "degrade": {"feature": feature, "switch": "off", "value_per_request": 0.01}}
    return call


def _with_sizes(
    rng: np.random.Generator, plain: Catalog, typical: np.ndarray[Any, Any], each: np.ndarray[Any, Any]
) -> Catalog:
    """Zones, prices, quotas, and what does not scale: for half again to three times the typical load."""
    out = []
    for i, service in enumerate(plain.values()):
        given = {key: getattr(service, key) for key in service.model_fields_set}
        need = max(typical[i] / each[i], 1e-3)
        guest = typical[i + 1] / each[i + 1] if i + 1 < len(each) else 0.0  # the next one may run on it
        leaf = not service.calls
        kind = rng.random()
        if leaf and kind < 0.04:
            given |= {"third_party": True, "max_qps": max(3.0 * typical[i], 1.0)}
        elif leaf and kind < 0.10:
            given |= {"scalable": False, "max_qps": max(3.0 * typical[i], 1.0), "max_connections": 100_000}
        elif i > 40 and kind > 0.97 and plain[f"service-{i - 1:05d}"].runs_on is None and not _hosts(out, i):
            given |= {"runs_on": f"service-{i - 1:05d}"}
        else:
            given |= {
                "instances": int(np.ceil(0.7 * need)),
                "zones": int(rng.integers(2, 4)),
                "instance_cost": float(np.round(rng.uniform(0.2, 3.0), 2)),
                "max_instances": int(np.ceil(6 * (need + guest))) + 4,
            }
            if kind < 0.2:
                given |= {"hot_key": {"top_share": 0.05, "max_qps": float(max(0.2 * typical[i], 1.0))}}
        out.append(Service.model_validate(given))
    return Catalog.from_services(out)


def _hosts(before: list[Service], i: int) -> bool:
    """Whether the service just before has no pool of its own to share."""
    return before[i - 1].is_fixed or before[i - 1].runs_on is not None


def _peaks(names: tuple[str, ...], entry: np.ndarray[Any, Any], load: np.ndarray[Any, Any], entries: int) -> Peaks:
    peak = load[:, None, :] * np.array(list(PHASES.values()))[None, :, None]
    at = np.broadcast_to(np.array(_PEAK_AT_S)[None, :, None], peak.shape)
    dims = ("sample", "phase", "service")
    promotion = Promotion.model_validate(
        {
            "id": "2026-double11", "kind": "double11",
            "starts_at": "2026-11-10T20:00+08:00", "ends_at": "2026-11-12T00:00+08:00",
        }
    )  # fmt: skip
    return Peaks(
        promotion, names, names[:entries], xr.DataArray(peak, dims=dims), xr.DataArray(at, dims=dims),
        peak_tps=entry[:, ::5].sum(axis=1), entry_peak=entry,
    )  # fmt: skip


def _curves(rng: np.random.Generator, catalog: Catalog, each: np.ndarray[Any, Any], n: int) -> Curves:
    values = each * np.exp(0.06 * rng.standard_normal((n, len(each))))
    fixed, evidence = {}, {}
    for i, (name, service) in enumerate(catalog.items()):
        evidence[name] = "sla" if service.is_fixed else "measured"
        if service.is_fixed and service.max_qps is not None:
            fixed[name] = service.max_qps
            values[:, i] = service.max_qps / service.instances
    return Curves(tuple(catalog.names), xr.DataArray(values, dims=("sample", "service")), evidence, fixed)
