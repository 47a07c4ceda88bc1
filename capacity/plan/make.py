"""`make_plan`: from peaks and curves to a signed plan."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from capacity.errors import NotCoveredError
from capacity.plan.align import align_peaks, peak_queues
from capacity.plan.connections import count_connections
from capacity.plan.cost import write_cost
from capacity.plan.decide import DEGRADABLE_QUANTILE, Decided, decide
from capacity.plan.decisions import Context
from capacity.plan.degradation import without
from capacity.plan.document import signature
from capacity.plan.feasibility import find_mends, infeasible_because, too_late, unproven
from capacity.plan.fleet import Fleet, Offered, read_fleet
from capacity.plan.frontier import write_frontier
from capacity.plan.guard import SAFE_QUANTILE
from capacity.plan.network import RETRY_BUDGET, Matrix, reach
from capacity.plan.protect import write_protection
from capacity.plan.queues import Queue
from capacity.plan.relief import Relief
from capacity.plan.result import Plan
from capacity.plan.rungs import write_degradation, write_reach
from capacity.plan.schedule import WARM_UP
from capacity.plan.sizing import Floats, Ints
from capacity.plan.skew import IMBALANCE
from capacity.plan.turned_away import SUBSET, external_qps, transactions_turned_away
from capacity.plan.write import (
    Calendar,
    admitted_tps,
    header,
    number,
    requests_per_order,
    spread,
    write_demand,
    write_edges,
    write_services,
)

if TYPE_CHECKING:
    from capacity.catalog import Catalog
    from capacity.peaks import Peaks
    from capacity.saturation import Curves
    from capacity.settings import Risk

_COUNT_STEP_S = (10.0, 60.0)  # the shape of a promotion is known by the minute, that of its opening better
_COUNT_STEPS = 720


def make_plan(
    peaks: "Peaks",
    curves: "Curves",
    *,
    services: "Catalog",
    risk: "Risk",
    currency: str = "CNY",
    assumptions: Sequence[str] = (),
) -> Plan:
    """Decide instances, limits, degradation and schedule for a promotion, at least cost for a promised risk.

    Parameters
    ----------
    peaks : Peaks
        Worst seconds as joint samples.
    curves : Curves
        Capacity of one instance as joint samples; sample i is the same future in both.
    services : Catalog
        The catalogue as of this promotion.
    risk : Risk
        What may go wrong, and how often.
    currency : str
        Of the catalogue's instance costs.
    assumptions : sequence of str
        Defaults used on the way here, such as those of the settings; the plan names them beside its own.

    Returns
    -------
    Plan
        Written even where the promise cannot hold: see `Plan.infeasible_because`.

    Raises
    ------
    InputError
        If the samples do not belong together, or a peak is not a number.
    NotCoveredError
        If the catalogue is empty.

    Notes
    -----
    *Sizing* is a joint chance-constrained program over the samples (`capacity.plan.sizing`). *Limits* are admitted
    flows through the graph (`capacity.plan.limits`), from the 5 % quantile of what survives a zone loss. *Overloaded*
    means: offered load, after planned degradation and before any limit, above capacity at the SLO; limits never make
    that less likely.
    """
    found = prepare(peaks, curves, services=services, risk=risk)
    return compose(found, found.decide(), currency=currency, assumptions=assumptions)


@dataclass(frozen=True)
class Prepared:
    """What a plan is decided from, brought into the catalogue's order.

    Attributes
    ----------
    peaks, curves, services, risk
        As given to `make_plan`.
    fleet : Fleet
    offered : Offered
    queues : tuple of Queue
    transaction : ndarray
        Positions of the services that count transactions.
    """

    peaks: "Peaks"
    curves: "Curves"
    services: "Catalog"
    risk: "Risk"
    fleet: Fleet
    offered: Offered
    queues: tuple[Queue, ...]
    transaction: Ints

    def decide(self, *, relief: Relief | None = None) -> Decided:
        """Decide all numbers of the plan; what is planned off is chosen when left out."""
        place = {name: i for i, name in enumerate(self.fleet.names)}
        entries = [place[e] for e in self.peaks.entries if e in place]
        per_order = requests_per_order(self.transaction, self.per_dat)
        return decide(
            self.fleet, self.offered, risk=self.risk,
            entries=entries, transaction=self.transaction, per_order=per_order, relief=relief,
        )  # fmt: skip

    @property
    def per_dat(self) -> dict[int, float]:
        """Requests to each service from outside that one order brings, where the catalogue says so."""
        names = enumerate(self.fleet.names)
        return {i: float(e.per_dat) for i, n in names if (e := self.services[n].entry) is not None}


def prepare(
    peaks: "Peaks", curves: "Curves", *, services: "Catalog", risk: "Risk", queues: tuple[Queue, ...] | None = None
) -> Prepared:
    """Check the inputs of a plan and bring them into one order; raises as `make_plan` does.

    ``queues`` are read from the peaks unless they are known already.
    """
    if len(services) == 0:
        raise NotCoveredError(
            "there is no service to plan for", remedy="write data/services.yaml; capacity services draft proposes it"
        )
    fleet = read_fleet(services, curves, zone_losses=risk.zone_losses)
    peak_qps = align_peaks(peaks, fleet)
    queues = peak_queues(fleet, peaks, peak_qps) if queues is None else queues
    smoothing = np.ones(len(fleet.names))
    for queue in queues:
        smoothing[queue.position] = queue.smoothing
    transaction = np.array(
        [i for i, n in enumerate(fleet.names) if services[n].counts_as == "transaction"], dtype=np.int64
    )
    return Prepared(peaks, curves, services, risk, fleet, Offered(peak_qps, smoothing), queues, transaction)


def compose(found: Prepared, decided: Decided, *, currency: str, assumptions: Sequence[str] = ()) -> Plan:
    """Write down what was decided."""
    peaks, curves, services, risk = found.peaks, found.curves, found.services, found.risk
    context = _context(decided, curves, risk, found.queues)
    document = _document(decided, context, found, currency=currency)
    own = _assumptions(decided, peaks, curves, services, found.queues, risk)
    own += write_protection(document, decided, services)
    document["assumptions"] = list(dict.fromkeys([*assumptions, *own]))
    document["infeasible_because"] = [*infeasible_because(decided, risk=risk), *too_late(document["services"])]
    document["inputs"] = []
    document["signature"] = signature(document)
    return Plan(document, peaks, curves, services)


def _context(decided: Decided, curves: "Curves", risk: "Risk", queues: tuple[Queue, ...]) -> Context:
    mends = {}
    promised = (risk.overload_probability, risk.non_core_overload_probability)
    for tier, reached in enumerate((decided.core_probability, decided.non_core_probability)):
        if reached > promised[tier]:
            mends.update({m.position: m for m in find_mends(decided, tier, risk=risk)[0]})
    return Context(
        risk=risk,
        evidence={str(k): str(v) for k, v in dict(curves.evidence).items()},
        next_step={str(k): str(v) for k, v in dict(curves.next_step).items()},
        mends=mends,
        queues={q.position: q for q in queues},
        connections={c.position: c for c in count_connections(decided.fleet, decided.instances)},
        cold_qps=_cold_peak(decided),
    )


def _cold_peak(decided: Decided) -> Floats:
    """Median worst second behind cold caches: the entries' medians through the cold graph, as far as it is more."""
    network = decided.fleet.network
    load = decided.typical_qps.max(axis=0)
    outside = Matrix(external_qps(network, load)[None, :])
    if np.array_equal(network.calls, network.cold_calls):
        return np.asarray(load, dtype=float)
    warm = reach(outside, network.matrix()).toarray().ravel()
    cold = reach(outside, network.matrix(cold=True)).toarray().ravel()
    ratio = np.divide(cold, warm, out=np.ones_like(cold), where=warm > 0)
    return np.asarray(load * np.maximum(ratio, 1.0), dtype=float)


def _document(decided: Decided, context: Context, found: Prepared, *, currency: str) -> dict[str, Any]:
    peaks, transaction, per_dat = found.peaks, found.transaction, found.per_dat
    calendar = Calendar.of(peaks)
    return {
        **header(peaks, context.risk),
        "demand": write_demand(peaks),
        "peak_tps": spread(peaks.peak_tps),
        "admitted_tps": admitted_tps(decided, transaction, per_dat),
        "transactions_turned_away": _turned_away(decided, peaks, transaction, per_dat, calendar),
        "services": write_services(decided, peaks, context, calendar),
        "edges": write_edges(decided),
        "degradation": write_degradation(decided, calendar),
        "degradation_reach": write_reach(decided, risk=context.risk),
        "cost": write_cost(decided, currency=currency),
        "frontier": write_frontier(decided, np.asarray(peaks.peak_tps, dtype=float), risk=context.risk),
        **_probabilities(decided),
    }


def _probabilities(decided: Decided) -> dict[str, float | None]:
    """Give the chance of an overload by tier and in all; null where a capacity it rests on is unknown."""
    known, tier = decided.fleet.is_known, decided.fleet.tier
    return {
        "core_overload_probability": number(decided.core_probability) if known[tier == 0].all() else None,
        "non_core_overload_probability": number(decided.non_core_probability) if known[tier == 1].all() else None,
        "total_overload_probability": number(decided.total_probability) if known.all() else None,
    }


def _turned_away(
    decided: Decided, peaks: "Peaks", transaction: Any, per_dat: Mapping[int, float], calendar: Calendar
) -> dict[str, float | None]:
    """Count transactions in the phases where a limit could be reached; null where no service counts them."""
    if len(transaction) == 0 or tuple(peaks.services) != decided.fleet.names:
        return {"q50": None, "q95": None}
    limit = decided.limits.cluster_qps
    spans: dict[bool, list[tuple[float, float, float]]] = {}
    for phase, span in enumerate(calendar.spans):
        if (decided.offered.peak_qps[:, phase] > limit).any():
            start = (span.starts_at - calendar.starts_at).total_seconds()
            length = (span.ends_at - span.starts_at).total_seconds()
            step_s = float(np.clip(length / _COUNT_STEPS, *_COUNT_STEP_S))
            spans.setdefault(bool(decided.relief.phases[phase]), []).append((start, length, step_s))
    if not spans:
        return {"q50": 0.0, "q95": 0.0}
    network = decided.fleet.network
    lost = sum(
        transactions_turned_away(
            without(network, decided.planned) if degraded else network,
            peaks,
            limit,
            transaction=transaction,
            per_order=requests_per_order(transaction, per_dat),
            spans=found,
        )
        for degraded, found in spans.items()
    )
    return spread(lost, (0.5, 0.95))


def _assumptions(
    decided: Decided, peaks: "Peaks", curves: "Curves", services: "Catalog", queues: tuple[Queue, ...], risk: "Risk"
) -> list[str]:
    fleet = decided.fleet
    n = len(decided.overloaded)
    own = [
        f"probabilities are counted over {n} futures, the optimism of choosing on them added; 0: less than 1 in {n}",
        f"limits protect what a service takes with {100 * (1 - SAFE_QUANTILE):.0f} % probability after the zone loss",
        f"degradable services are sized for {100 * DEGRADABLE_QUANTILE:.0f} % of futures; limits cut the rest",
        f"instances serve {WARM_UP.seconds // 60} min before they are needed; those that run today are not taken away",
        f"instances' shares differ by {100 * IMBALANCE:.0f} %: instance_skew says what limits then turn away wrongly",
        "capacities given as a total (max_qps, SLA) survive a zone loss whole",
        "worst seconds of services that share a pool are added, as if they came in the same second",
        f"transactions turned away are counted in {SUBSET} futures spread evenly over peak TPS",
    ]
    if fleet.network.retries.any():
        own.append(
            f"callers keep a retry budget of {100 * RETRY_BUDGET:.0f} %: limits allow {1 + RETRY_BUDGET:g} "
            "attempts per call; without the budget they are too high"
        )
    own += [
        f"{name} counts transactions and is asked {service.entry.per_dat:g} times an order: TPS counts orders"
        for name, service in services.items()
        if service.counts_as == "transaction" and service.entry is not None and service.entry.per_dat not in {0.0, 1.0}
    ]
    unknown = unproven(decided)
    if unknown:
        names = ", ".join(fleet.names[s] for s in unknown)
        own.append(f"overload probabilities exclude {names}, whose capacity is not known: the plan is not proven")
    single = [fleet.pools[p] for p in np.flatnonzero((fleet.losses < risk.zone_losses) & fleet.sized)]
    if single and risk.zone_losses:
        own.append(f"sized without a zone loss, having no zone to spare: {', '.join(single[:20])}")
    if queues:
        own.append("work behind queues is sized for its max_delay_s, not for its worst second")
    found = [*services.assumptions(), *peaks.assumptions, *curves.assumptions, *own]
    return list(dict.fromkeys(str(text) for text in found))
