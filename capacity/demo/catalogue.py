"""The service catalogue as the company's people wrote it: right in kind, rounded in number, with gaps."""

from collections.abc import Mapping

import numpy as np

from capacity.demo.fleet import ZONES, Fleet
from capacity.demo.graph import Edge
from capacity.demo.loadtests import VERSION
from capacity.demo.parameters import Parameters
from capacity.demo.randomness import nice, nice_up, stream
from capacity.demo.services import DEGRADES, ENTRIES, NEW_SERVICE, NEW_SINCE, SPECS, Spec, TrueService
from capacity.demo.shapes import EntryRate
from capacity.demo.texts import number

MAX_DELAY_S = 1800.0
_UNKNOWN_ENTRY = "user"  # left out: the traffic history lets it be estimated
_SWITCHES = {"recommendations": ("rec_off", 0.02, 30), "similar-items": ("sim_off", 0.008, 30)}

_HEADER = """\
# The service catalogue and its call graph. Means per request come from tracing of an ordinary week, rounded;
# what one user or one order asks of an entry service comes from the gateway's logs.
"""


def services_yaml(
    parameters: Parameters,
    services: Mapping[str, TrueService],
    entries: Mapping[str, EntryRate],
    edges: tuple[Edge, ...],
    fleet: Fleet,
    *,
    hottest_qps: float,
    connections: Mapping[str, int],
) -> str:
    """Write data/services.yaml.

    Parameters
    ----------
    parameters, services, entries, edges, fleet
        The company.
    hottest_qps
        What one row of the inventory can take.
    connections
        Most connections of each database.
    """
    rng = stream(parameters.seed, "catalogue")
    parts = [_HEADER]
    for spec in SPECS:
        lines = _head(spec)
        if spec.name in services:
            lines += _scalable(services[spec.name], fleet)
        else:
            lines += _fixed(spec, fleet, connections)
        if spec.paths:
            lines.append(f"  critical_paths: [{', '.join(spec.paths)}]")
        if spec.name == NEW_SERVICE:
            lines.append(f"  new_since: {NEW_SINCE}          # not there at any earlier promotion")
        lines += _entry(rng, spec.name, entries)
        if spec.name == "checkout":
            lines.insert(2, "  counts_as: transaction         # one submission is one order")
        if spec.name == "inventory":
            lines.append(f"  hot_key: {{top_share: 0.04, max_qps: {number(hottest_qps)}}}")
        lines += _calls(rng, spec.name, edges)
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def _head(spec: Spec) -> list[str]:
    lines = [f"- name: {spec.name}", f"  tier: {spec.tier}"]
    if spec.owner:
        lines.append(f"  owner: {spec.owner}")
    return lines


def _scalable(service: TrueService, fleet: Fleet) -> list[str]:
    spec = service.spec
    slo = ", ".join(f"{part}: {number(value)}" for part, value in service.slo.items())
    return [
        f"  instances: {fleet.instances_now[spec.name]}",
        f"  zones: {ZONES}",
        f"  max_instances: {fleet.quota[spec.name]}",
        f"  instance_cost: {number(spec.cost)}",
        f"  instance_type: {spec.instance_type}",
        f'  version: "{VERSION}"',
        f"  startup_s: {spec.startup_s}",
        f"  slo: {{{slo}}}",
    ]


def _fixed(spec: Spec, fleet: Fleet, connections: Mapping[str, int]) -> list[str]:
    limit = number(fleet.fixed_qps[spec.name])
    if spec.name == "payco-gateway":
        return ["  third_party: true", f"  max_qps: {limit}                  # what the contract grants"]
    return [
        "  scalable: false",
        f"  max_qps: {limit}                  # measured by the database team, one primary",
        f"  max_connections: {connections[spec.name]}",
    ]


def _entry(rng: np.random.Generator, name: str, entries: Mapping[str, EntryRate]) -> list[str]:
    if name not in ENTRIES:
        return ["  entry: {per_dau: 0.0, per_dat: 0.0}"]
    if name == _UNKNOWN_ENTRY:
        return ["  # entry: not measured apart from internal calls yet"]
    entry = entries[name]
    vary = np.exp(0.02 * rng.normal(size=2))
    per_dat = entry.per_dat if name == "checkout" else nice(entry.per_dat * vary[1])
    parts = [f"per_dau: {number(nice(entry.per_dau * vary[0]))}", f"per_dat: {number(per_dat)}"]
    if entry.extra_qps:
        low, mid, high = (number(nice(entry.extra_qps * k)) for k in (0.5, 1.0, 2.0))
        parts.append(f"extra_qps: {{low: {low}, mid: {mid}, high: {high}}}")
    return [f"  entry: {{{', '.join(parts)}}}"]


def _calls(rng: np.random.Generator, name: str, edges: tuple[Edge, ...]) -> list[str]:
    lines = []
    for edge in edges:
        if edge.caller != name:
            continue
        # Tracing counts well; what it misses is rounding and the change of an evening's mix.
        mean = nice(edge.per_request * float(np.exp(0.01 * rng.normal())), 3)
        parts = [f"to: {edge.callee}", f"per_request: {number(mean)}"]
        if edge.retries:
            parts.append(f"retries: {edge.retries}")
        if edge.timeout_ms:
            parts.append(f"timeout_ms: {edge.timeout_ms}")
        if edge.callee == "fulfilment":
            parts += ["mode: async", f"max_delay_s: {MAX_DELAY_S:.0f}"]
        if edge.connections:
            parts.append(f"connections_per_instance: {edge.connections}")
        if edge.hit_fraction:
            cold = f"{edge.cold_hit_fraction:.2f}"
            parts += [f"hit_fraction: {edge.hit_fraction:.3f}", f"cold_hit_fraction: {cold}"]
        feature = next((f for f, pair in DEGRADES.items() if pair == (edge.caller, edge.callee)), None)
        if edge.callee == "coupon" or feature:
            parts.append("required: false")
        lines.append(f"    - {{{', '.join(parts)}}}")
        if feature:
            lines[-1:] = _optional_call(parts, feature)
    return ["  calls:", *lines] if lines else []


def _optional_call(parts: list[str], feature: str) -> list[str]:
    switch, value, takes_s = _SWITCHES[feature]
    degrade = (
        f"feature: {feature}, switch: {switch}, owner: growth-team, value_per_request: {value}, takes_s: {takes_s}"
    )
    first, *rest = parts
    return [f"    - {first}", *(f"      {part}" for part in rest), f"      degrade: {{{degrade}}}"]


def most_connections(edges: tuple[Edge, ...], fleet: Fleet) -> dict[str, int]:
    """Size the connections that the databases allow: enough for the callers' whole quotas."""
    allowed: dict[str, float] = {}
    for edge in edges:
        if edge.connections:
            allowed[edge.callee] = allowed.get(edge.callee, 0) + edge.connections * fleet.quota[edge.caller]
    return {name: int(nice_up(value)) for name, value in allowed.items()}
