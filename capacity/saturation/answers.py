"""The answer for one service: from its runs, production and terms to samples with their evidence."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from capacity.catalog import Service
from capacity.lessons import Lessons
from capacity.saturation import rules
from capacity.saturation.bounds import beyond, raise_to
from capacity.saturation.combine import Common, EnvironmentRatio, combine
from capacity.saturation.drift import Drift
from capacity.saturation.production import Proven
from capacity.saturation.runs import RunCapacity
from capacity.saturation.scaling import FleetScaling, efficiency

Array = NDArray[np.float64]

_LESSON = "instance_capacity_qps"


@dataclass
class Answer:
    """What is known of one service's capacity per instance; see `capacity.saturation.Curves` for the words."""

    qps: Array
    evidence: str
    lower_qps: float = 0.0
    why: list[str] = field(default_factory=list)
    drift: Drift | None = None
    scaling: FleetScaling | None = None


def answer_of(
    service: Service,
    runs: list[RunCapacity],
    shown: Proven | None,
    ratio: EnvironmentRatio,
    *,
    fleet: int,
    n: int,
    rng: np.random.Generator,
) -> Answer:
    """Answer for a service by itself.

    Parameters
    ----------
    service
        With its terms.
    runs
        What its tests say, in time order.
    shown
        What production has shown; where the objective was not seen to hold, for a service without tests alone.
    ratio
        From outside production to inside.
    fleet
        Instances that serve it today.
    n, rng
        Number of samples, generator.
    """
    if service.max_qps is not None and (service.is_fixed or not runs):
        each = service.max_qps / service.instances
        said = f"max_qps {service.max_qps:g} in total" + (", its SLA" if service.third_party else "")
        return Answer(np.full(n, each), "sla", each, [said])
    if runs:
        answer = from_tests(service.name, runs, Common(ratio, n=n, rng=rng), fleet=fleet)
        return above_production(answer, runs, shown, rng=rng)
    if shown is not None and not shown.objective_seen:
        qps = shown.qps * np.exp(-rules.UNSEEN_LATENCY_LOSS * np.abs(rng.standard_normal(n)))
        return Answer(np.asarray(qps), "production", 0.0, [shown.says, "no load test says where it ends"])
    if shown is not None:
        qps = beyond(np.full(n, shown.qps), upper_qps=shown.upper_qps, rng=rng)
        return Answer(qps, "production", shown.qps, [shown.says, "no load test says where it ends"])
    return Answer(
        np.full(n, np.nan), "none", 0.0, ["no load test, no production traffic within the objective, no max_qps"]
    )


def from_tests(name: str, runs: list[RunCapacity], common: Common, *, fleet: int) -> Answer:
    """Answer by the tests alone: measured where one saw the end, else bounded."""
    measured = [r for r in runs if r.evidence == "measured"]
    if not measured:
        return _bounded(name, runs, common, fleet=fleet)
    found = combine(name, measured, fleet=fleet, common=common)
    # What one night held, at one pace, is no surer than what all runs together say.
    lower = min(max((r.lower_qps for r in runs if r.production), default=0.0), float(np.quantile(found.qps, 0.05)))
    why = [w for r in measured for w in r.why] + list(found.why)
    # The stated rule holds for what is quoted, whatever is added for other nights and versions.
    qps = np.minimum(found.qps, max(r.most_qps for r in measured))
    answer = Answer(qps, "measured", lower, why, found.drift, found.scaling)
    for run in runs:
        if run.evidence == "bounded" and run.production and run.same_type:
            _ruled_out(answer, run, fleet=fleet, rng=common.rng)
    if not any(r.production for r in measured):
        answer.why.append(_outside(common.ratio))
    return answer


def _ruled_out(answer: Answer, run: RunCapacity, *, fleet: int, rng: np.random.Generator) -> None:
    """Rule out what lies below a load that a run held with its own number of instances."""
    curve = answer.scaling
    own = np.ones(len(answer.qps))
    if curve is not None:
        own = efficiency(run.instances, curve.alpha, curve.beta) / efficiency(fleet, curve.alpha, curve.beta)
    raised, share = raise_to(answer.qps * own, run.lower_qps, upper_qps=run.upper_qps, rng=rng)
    if share > 0:
        answer.qps = raised / own
        answer.why.append(f"{run.run} held {run.lower_qps:.4g} requests/s per instance: lower values are ruled out")


def _bounded(name: str, runs: list[RunCapacity], common: Common, *, fleet: int) -> Answer:
    best = max(runs, key=lambda r: (r.production, r.lower_qps))
    qps = np.minimum(combine(name, [best], fleet=fleet, common=common).qps, best.most_qps)
    # What held, held: in production nothing is below it.
    if best.production and best.same_type:
        qps = np.maximum(qps, best.lower_qps)
    answer = Answer(qps, "bounded", best.lower_qps if best.production else 0.0, [w for r in runs for w in r.why])
    if not best.production:
        answer.why.append(_outside(common.ratio))
    return answer


def _outside(ratio: EnvironmentRatio) -> str:
    if ratio.services == 0:
        return "tested outside production only, and no service in both: the interval reaches lower"
    factor = f"{np.exp(ratio.mean):.2f}, the ratio of {ratio.services} services tested in both"
    return f"tested outside production only: multiplied by {factor}"


def above_production(
    answer: Answer, runs: list[RunCapacity], shown: Proven | None, *, rng: np.random.Generator
) -> Answer:
    """Raise what tests say to what production has shown."""
    if shown is None:
        return answer
    if not any(r.same_type for r in runs):
        answer.why.append("production's lower bound is not used: the tests are of another instance type")
        return answer
    upper = min((r.upper_qps for r in runs), default=float("inf"))
    answer.qps, share = raise_to(answer.qps, shown.qps, upper_qps=max(upper, shown.upper_qps), rng=rng)
    if share > 0:
        answer.why.append(f"{shown.says}; {share:.0%} of the tests' distribution lay below and was raised")
    answer.lower_qps = max(answer.lower_qps, shown.qps)
    return answer


def learnt(answer: Answer, name: str, lessons: Lessons, *, rng: np.random.Generator) -> Answer:
    """Apply what reviews taught to what tests and production say."""
    if answer.evidence in ("sla", "none"):
        return answer
    for lesson in lessons.find(_LESSON, service=name):
        q = lesson.quantiles
        z = rng.standard_normal(len(answer.qps))
        up, down = np.log(q.q95 / q.q50) / 1.6449, np.log(q.q50 / q.q05) / 1.6449
        answer.qps = answer.qps * np.exp(np.log(q.q50) + z * np.where(z > 0, up, down))
        answer.why.append(f"lesson of {lesson.promotion}: multiplied by {q.q50:.3g} ({q.q05:.3g} to {q.q95:.3g})")
    return answer
