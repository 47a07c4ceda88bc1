"""The next load test worth running."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from capacity.catalog import Service
from capacity.saturation import rules
from capacity.saturation.runs import RunCapacity


def next_step(service: Service, runs: Sequence[RunCapacity], evidence: str) -> str:
    """Say which test would teach most about a service's capacity.

    Examples
    --------
    >>> next_step(Service(name="a", tier="core"), [], "none")
    'no load test: raise the load in small steps past the objective, in production, off-peak'
    """
    if evidence == "sla":
        return "confirm the limit with its owner" if service.third_party else "test where its limit is"
    if not runs:
        return "no load test: raise the load in small steps past the objective, in production, off-peak"
    names = {g.name for r in runs for g in r.gates if g.verdict in ("flagged", "bounded", "excluded")}
    latest = runs[-1]
    if evidence == "bounded":
        return _go_further(latest, names)
    if not any(r.production for r in runs):
        return "repeat in production, off-peak: outside it capacity may look better than it is"
    for gate, says in (
        ("instance_type_changed", "repeat on the instance type that runs"),
        ("version_changed", "repeat with the version that runs"),
        ("dependency_mocked", "repeat with the real dependencies"),
        ("before_scaling", "repeat after scaling out"),
    ):
        if gate in names:
            return says
    low, high = np.quantile(latest.qps, [0.05, 0.95])
    if high > 1.15 * low:
        return f"add steps of 5 % between {low:.4g} and {high:.4g} requests/s per instance"
    together = max(r.instances for r in runs)
    if not service.is_fixed and service.instances >= rules.FLEET_SPAN * together:
        return f"repeat with a larger fleet: {together} instances were tested together, {service.instances} run"
    return "nothing urgent: repeat before the promotion with the version that will run"


def _go_further(run: RunCapacity, names: set[str]) -> str:
    start = run.lower_qps
    if start <= 0:
        return "start lighter: already the first step broke the objective"
    until = min(rules.MOST_BEYOND * start, run.upper_qps if np.isfinite(run.upper_qps) else np.inf)
    until = max(until, 1.1 * start)
    says = (
        f"continue from {start:.4g} to {until:.4g} requests/s per instance in steps of 5 % until the objective breaks"
    )
    if "generator_saturated" in names:
        return f"{says}, from more load generators"
    return says
