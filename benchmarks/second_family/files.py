"""The files that people of the company wrote: settings, promotions, catalogue, load tests."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from benchmarks.second_family.events import Event
from benchmarks.second_family.fleet import Fleet
from benchmarks.second_family.graph import Edge
from benchmarks.second_family.instances import TrueService
from benchmarks.second_family.loadtests import Run
from benchmarks.second_family.nights import Played
from benchmarks.second_family.setting import rng_of
from benchmarks.second_family.world import World
from capacity.demo.randomness import nice

Array = NDArray[np.float64]


def write_texts(
    world: World,
    services: Mapping[str, TrueService],
    fleet: Fleet,
    nights: Mapping[str, Played],
    runs: Sequence[Run],
    *,
    offered: Array,
    completed: Array,
) -> dict[str, str]:
    """Write every file by its path in the workspace.

    Parameters
    ----------
    world, services, fleet, nights, runs
        The company.
    offered, completed
        Orders by day.
    """
    offset = world.setting.clock.moment(0).isoformat()[-6:]
    texts = {
        "capacity.toml": _settings(world),
        "data/promotions.yaml": _dump(_promotions(world, nights, offered, completed)),
        "data/services.yaml": _dump(_catalogue(world, services, fleet)),
    }
    for run in runs:
        for name, text in run.texts(offset).items():
            texts[f"data/loadtests/{run.name}/{name}"] = text
    return texts


def _settings(world: World) -> str:
    market = world.setting.market
    return (
        f'timezone = "{market.zone}"\ncurrency = "{market.currency}"\ncountry = "{market.country}"\n\n'
        "[risk]\noverload_probability = 0.05\nnon_core_overload_probability = 0.2\nzone_losses = 1\n"
        "utilization_ceiling = 1.0\n"
    )


def _dump(document: list[dict[str, Any]]) -> str:
    return str(yaml.safe_dump(document, sort_keys=False, allow_unicode=True))


# ------------------------------------------------------------------ promotions


def promotion_head(world: World, event: Event) -> dict[str, Any]:
    """Id, kind, start and end as `promotions.yaml` has them."""
    clock = world.setting.clock
    return {
        "id": event.id,
        "kind": event.kind.name,
        "starts_at": clock.moment(event.starts_s).isoformat(timespec="minutes"),
        "ends_at": clock.moment(event.ends_s).isoformat(timespec="minutes"),
    }


def _promotions(world: World, nights: Mapping[str, Played], offered: Array, completed: Array) -> list[dict[str, Any]]:
    """Write every promotion's brief; one that starts when the tables end is known as a plan alone."""
    rng = rng_of(world.setting, "briefs")
    remembers, estimates = rng.random() < 0.8, rng.random() < 0.7
    bias = rng.normal([0.03, 0.10, -0.05], [0.06, 0.15, 0.25])
    briefs = []
    for event in world.events:
        brief = promotion_head(world, event)
        if event.told_intensity is not None:
            brief["intensity"] = event.told_intensity
        days = [day for day in event.days if day < world.setting.recorded_days]
        if event.ends_s > world.setting.recorded_days * 86400:
            briefs.append(brief)
            continue
        night, dau = nights.get(event.id), float(np.rint(world.days.total[days]).max())
        truth = {"dau": dau, "dat": float(offered[days].max()), "peak_tps": night.peak_tps if night else None}
        if estimates and event.kind.strength >= 0.3:
            brief["expected"] = _estimate(world, event, truth, bias)
        if event.id == world.target.id:
            brief["third_parties"] = [{"name": name, "contact": "duty line"} for name in world.graph.of_role("partner")]
        elif event.first_day < world.setting.as_of_day and (remembers or not world.is_remembered(event)):
            brief["actual"] = _memory(world, night, dau=dau, dat=float(completed[days].max()))
        briefs.append(brief)
    return briefs


def _estimate(world: World, event: Event, truth: Mapping[str, float | None], bias: Array) -> dict[str, Any]:
    """Say what the business said: the truth, the company's bias, a fresh error of heavy tails, a narrow range."""
    rng = rng_of(world.setting, "estimate", event.id)
    found: dict[str, Any] = {}
    for (metric, value), lean, noise in zip(truth.items(), bias, (0.05, 0.12, 0.20), strict=True):
        if value is not None:
            mid = value * float(np.exp(lean + noise * rng.standard_t(5)))
            spread = noise * rng.uniform(0.8, 1.6)
            found[metric] = {"low": nice(mid / (1 + spread)), "mid": nice(mid, 3), "high": nice(mid * (1 + spread), 3)}
    signed = world.setting.clock.moment(event.starts_s) - timedelta(days=int(rng.integers(20, 60)))
    return {**found, "owner": "commerce", "signed_at": signed.date().isoformat()}


def _memory(world: World, night: Played | None, *, dau: float, dat: float) -> dict[str, Any]:
    memory: dict[str, Any] = {"dau": dau, "dat": dat}
    if night is not None:
        busiest = sorted(world.graph.of_role("entry"), key=lambda name: -night.arrived[name])[:4]
        names = {world.graph.orders, *busiest}
        memory |= {
            "peak_tps": night.completed_tps,
            "peak_at": night.peak_at,
            "peak_qps": {name: night.arrived[name] for name in world.graph.names if name in names},
        }
    return memory


# ------------------------------------------------------------------- catalogue


def _catalogue(world: World, services: Mapping[str, TrueService], fleet: Fleet) -> list[dict[str, Any]]:
    """Write the catalogue: calls rounded, one edge in twenty stale by 20 %, in one company of five left to tracing."""
    rng = rng_of(world.setting, "catalogue")
    writes_calls, writes_entries = rng.random() < 0.8, rng.random() < 0.75
    forgotten = str(rng.choice(world.graph.of_role("entry")[1:]))
    listed = []
    for node in world.graph.nodes:
        item: dict[str, Any] = {"name": node.name, "tier": node.tier}
        if node.name in services:
            service = services[node.name]
            item |= {
                "owner": f"{node.name}-team",
                "instances": fleet.instances_now[node.name],
                "zones": fleet.zones,
                "max_instances": fleet.quota[node.name],
                "instance_cost": nice(rng.uniform(0.2, 3.0)),
                "startup_s": int(rng.choice([60, 120, 300, 600])),
                "slo": dict(service.slo),
            }
        elif node.role == "partner":
            item |= {"third_party": True, "max_qps": fleet.fixed_qps[node.name]}
        else:
            item |= {"scalable": False, "max_qps": fleet.fixed_qps[node.name]}
        if node.name == world.graph.orders:
            item |= {"counts_as": "transaction", "critical_paths": ["buy"]}
        if node.role != "entry":
            item["entry"] = {"per_dau": 0.0, "per_dat": 0.0}
        elif writes_entries and node.name != forgotten:
            item["entry"] = _entry(world, node.name, rng)
        calls = [_call(edge, rng) for edge in world.graph.edges if edge.caller == node.name]
        if calls and writes_calls:
            item["calls"] = calls
        listed.append(item)
    return listed


def _entry(world: World, name: str, rng: np.random.Generator) -> dict[str, Any]:
    entry = next(entry for entry in world.rates.entries if entry.name == name)
    if name == world.graph.orders:
        return {"per_dau": 0.0, "per_dat": 1.0}
    # Gateways count reloads and retries like any request; people write down what they read there.
    repeated = 1 + float(world.restlessness.calm[world.rates.entries.index(entry)])
    vary = repeated * np.exp(0.03 * rng.normal(size=2))
    found: dict[str, Any] = {
        "per_dau": nice(entry.per_dau * float(vary[0])),
        "per_dat": nice(entry.per_dat * float(vary[1])),
    }
    if entry.extra_qps:
        found["extra_qps"] = {
            part: nice(entry.extra_qps * k) for part, k in (("low", 0.4), ("mid", 1.0), ("high", 2.5))
        }
    return found


def _call(edge: Edge, rng: np.random.Generator) -> dict[str, Any]:
    stale = 1.2 ** float(rng.choice([-1.0, 0.0, 1.0], p=[0.025, 0.95, 0.025]))
    found: dict[str, Any] = {"to": edge.callee, "per_request": nice(edge.per_request * stale, 3)}
    if edge.max_delay_s is not None:
        return {**found, "mode": "async", "max_delay_s": edge.max_delay_s}
    if edge.retries:
        found["retries"] = edge.retries
    if edge.hit_fraction:
        found |= {"hit_fraction": round(edge.hit_fraction, 3), "cold_hit_fraction": round(edge.cold_hit_fraction, 2)}
    if edge.feature:
        found["degrade"] = {
            "feature": edge.feature, "switch": f"{edge.callee}_off", "owner": f"{edge.caller}-team",
            "value_per_request": nice(rng.uniform(0.001, 0.05)), "takes_s": 30,
        }  # fmt: skip
        found["required"] = False
    return found
