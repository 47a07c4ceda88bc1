"""The evaluation table: every service, what is expected of it, what it takes, and the verdict."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from capacity.plan.decide import find_overloads, safe_capacity
from capacity.plan.evaluation.gaps import Gap, find_gaps
from capacity.plan.evaluation.neighbours import find_neighbours
from capacity.plan.evaluation.tested import EVIDENCE, Tested, read_tested
from capacity.plan.fleet import beyond_repair, most_pool_use
from capacity.plan.make import prepare
from capacity.plan.sizing import survivors
from capacity.result import Result
from capacity.settings import Risk

if TYPE_CHECKING:
    import pandas as pd

    from capacity.catalog import Catalog
    from capacity.display.figures import Chart
    from capacity.loadtest import LoadTest
    from capacity.plan.result import Plan
    from capacity.promotion import Promotion

_BRIEF = (
    "service", "tier", "owner", "is_new", "critical_paths", "load_test", "peak_q95", "takes_now", "overload_now",
    "instances_now", "instances", "overload_planned", "verdict", "open",
)  # fmt: skip
_PLANNED = ("peak_q95", "takes_now", "overload_now", "instances", "overload_planned", "verdict")


@dataclass(frozen=True, repr=False, eq=False)
class Evaluation(Result):
    """Every service before a promotion.

    Attributes
    ----------
    services : Catalog
    table : DataFrame
        One row a service: ``service, tier, owner, is_new, critical_paths, third_party, zones, load_test, tested_on,
        evidence, peak_q50, peak_q95, takes_now, overload_now, instances_now, instances, takes_planned,
        overload_planned, limit, verdict, open``. Rates are requests/s in the worst second; ``takes_now`` and
        ``takes_planned`` are what today's and the planned instances take with 95 % probability after the planned zone
        loss, ``overload_now`` the probability that today's do not suffice; ``open`` counts its gaps. Missing where it
        is not known, as without a plan.
    gaps : tuple of Gap
        The worklist, the gravest first.
    plan : Plan or None
        What forecast, capacity and verdict were taken from.
    """

    services: "Catalog"
    table: "pd.DataFrame"
    gaps: tuple[Gap, ...]
    plan: "Plan | None" = None

    units: ClassVar[dict[str, str]] = {
        "peak_q50": "requests/s", "peak_q95": "requests/s", "takes_now": "requests/s", "takes_planned": "requests/s",
        "limit": "requests/s",
    }  # fmt: skip

    def summary(self) -> str:
        """Return one line: how many services fit today's instances, how many do not, and what is open."""
        core = self.table[self.table["tier"] == "core"]
        head = f"{len(self.table)} services, {len(core)} core"
        if self.plan is not None:
            short = self.table["verdict"].isin(["keep"]).rsub(1).sum()
            head += f"; {int(short)} need something done before {self.plan.promotion_id}"
        else:
            head += "; without a plan, so what is expected of them is not known"
        return f"{head}; {len(self.gaps)} gaps, {sum(gap.tier == 'core' for gap in self.gaps)} of them core"

    def to_frame(self) -> "pd.DataFrame":
        """Return the table's main columns; those that only a plan fills are left out without one."""
        shown = self.table[list(_BRIEF)]
        return shown if self.plan is not None else shown.drop(columns=list(_PLANNED))

    def gaps_frame(self) -> "pd.DataFrame":
        """Return the worklist as a frame: ``kind, service, tier, owner, says, remedy``."""
        import pandas as pd

        columns = ["kind", "service", "tier", "owner", "says", "remedy"]
        return pd.DataFrame([vars(gap) for gap in self.gaps], columns=columns)

    def neighbours(self, name: str) -> "pd.DataFrame":
        """Return who calls a service and whom it calls, with the requests/s of a typical worst second on each call."""
        return find_neighbours(self.services, name, plan=self.plan)

    def plot(self, name: str | None = None) -> "Chart":
        """Draw the call graph with load and bottlenecks, or what lies around one service."""
        from capacity.plan.evaluation.figure import draw_graph

        return draw_graph(self, name)


def evaluate(
    services: "Catalog",
    *,
    tests: "Iterable[LoadTest]" = (),
    plan: "Plan | None" = None,
    last: "Promotion | None" = None,
    zone_losses: int = 1,
) -> Evaluation:
    """Put what is known of every service beside what a promotion asks of it.

    Parameters
    ----------
    services
        The catalogue.
    tests
        Load tests on file.
    plan
        The promotion's plan with its samples; without one only the catalogue's and the load tests' facts are told.
    last
        The promotion before: services new since then are new.
    zone_losses
        Zones that may be lost, where no plan says it.

    Examples
    --------
    >>> from capacity.catalog import Catalog, Service
    >>> evaluate(Catalog([Service(name="shop", tier="core", owner="a", zones=3)]))
    <Evaluation: 1 services, 1 core; without a plan, so what is expected of them is not known; 2 gaps, 2 of them core>
    """
    import pandas as pd

    tested = read_tested(services, tests)
    planned = _from_plan(services, plan)
    evidence = None if plan is None or plan.curves is None else dict(plan.curves.evidence)
    losses = zone_losses if plan is None else int(plan.document["risk"]["zone_losses"])
    gaps = find_gaps(services, tested=tested, evidence=evidence, zone_losses=losses)
    open_of = Counter(gap.service for gap in gaps)
    rows = [
        _facts(services, name, tested[name], (evidence or {}).get(name), last)
        | planned.get(name, {})
        | {"open": open_of[name]}
        for name in services.names
    ]
    return Evaluation(services, pd.DataFrame(rows).reindex(columns=_COLUMNS), gaps, plan)


_COLUMNS = [
    "service", "tier", "owner", "is_new", "critical_paths", "third_party", "zones", "load_test", "tested_on",
    "evidence", "peak_q50", "peak_q95", "takes_now", "overload_now", "instances_now", "instances", "takes_planned",
    "overload_planned", "limit", "verdict", "open",
]  # fmt: skip


def _facts(
    services: "Catalog", name: str, tested: Tested, evidence: str | None, last: "Promotion | None"
) -> dict[str, Any]:
    service = services[name]
    new = service.new_since is not None and (last is None or service.new_since > last.starts_at.date())
    standing = "agreed limit" if service.is_fixed and not tested.runs and service.max_qps is not None else str(tested)
    return {
        "service": name,
        "tier": service.tier,
        "owner": service.owner or None,
        "is_new": new,
        "critical_paths": ", ".join(service.critical_paths),
        "third_party": service.third_party,
        "zones": service.zones,
        "load_test": standing,
        "tested_on": tested.last_on,
        "evidence": None if evidence is None else EVIDENCE.get(evidence, evidence),
        "instances_now": None if service.third_party else services[services.pool_of(name)].instances,
    }


def _from_plan(services: "Catalog", plan: "Plan | None") -> dict[str, dict[str, Any]]:
    """Forecast against capacity, today and as planned, by service."""
    if plan is None or plan.peaks is None or plan.curves is None:
        return {}
    planned, risk = plan.document["services"], Risk(**plan.document["risk"])
    prepared = prepare(plan.peaks, plan.curves, services=services, risk=risk)
    fleet, offered = prepared.fleet, prepared.offered
    left = survivors(fleet.now, fleet.zones, fleet.losses)
    takes = safe_capacity(fleet, left, ceiling=risk.utilization_ceiling) / offered.smoothing
    over = find_overloads(
        fleet, most_pool_use(fleet, offered, ceiling=1.0), left, beyond=beyond_repair(fleet, offered.most())
    )
    found = {}
    for i, name in enumerate(fleet.names):
        if name not in planned:  # it came into the catalogue after the plan
            continue
        entry = planned[name]
        known = bool(fleet.is_known[i])
        found[name] = {
            "peak_q50": entry["peak_qps"]["q50"],
            "peak_q95": entry["peak_qps"]["q95"],
            "takes_now": float(takes[i]) if known and np.isfinite(takes[i]) else None,
            "overload_now": float(over[:, i].mean()) if known else None,
            "instances": None if fleet.third_party[i] else entry["instances"],
            "takes_planned": entry.get("safe_capacity_qps") and entry["safe_capacity_qps"] / offered.smoothing[i],
            "overload_planned": entry["overload_probability"],
            "limit": entry["cluster_limit_qps"],
            "verdict": entry["decision"],
        }
    return found
