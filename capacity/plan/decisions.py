"""What to do about each service, why in numbers, and why not something else."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from capacity.display.numbers import format_number, format_percent, format_qps, format_seconds
from capacity.plan.connections import Connections
from capacity.plan.decide import Decided
from capacity.plan.feasibility import Mend, say_mend
from capacity.plan.not_taken import not_taken
from capacity.plan.queues import Queue
from capacity.plan.service_facts import zone_fact

if TYPE_CHECKING:
    from capacity.settings import Risk

_CHEAP = 1e-6  # orders per request: below, a capacity holds up nothing worth saying


@dataclass
class Verdict:
    """The decision about one service."""

    decision: str = "keep"
    why: list[str] = field(default_factory=list)
    rejected: list[dict[str, str]] = field(default_factory=list)

    def reject(self, option: str, because: str) -> None:
        """Note an option that was weighed and not taken."""
        self.rejected.append({"option": option, "because": because})


@dataclass(frozen=True)
class Context:
    """What was found out about the plan as a whole, by service position."""

    risk: "Risk"
    evidence: dict[str, str]
    next_step: dict[str, str]
    mends: dict[int, Mend]
    queues: dict[int, Queue]
    connections: dict[int, Connections]
    cold_qps: np.ndarray[tuple[int], np.dtype[np.float64]]


def judge(decided: Decided, s: int, context: Context) -> Verdict:
    """Decide about one service."""
    fleet = decided.fleet
    verdict = Verdict()
    if not fleet.is_known[s]:
        _unknown(decided, s, context, verdict)
    elif fleet.is_fixed[s]:
        _fixed(decided, s, context, verdict)
    else:
        _scaled(decided, s, context, verdict)
    _relief(decided, s, verdict)
    _limit(decided, s, verdict)
    _asides(decided, s, context, verdict)
    return verdict


def _peak(decided: Decided, s: int) -> tuple[float, float]:
    return float(decided.digest.peak[1, s]), float(decided.digest.peak[2, s])


def _unknown(decided: Decided, s: int, context: Context, verdict: Verdict) -> None:
    fleet = decided.fleet
    mid, high = _peak(decided, s)
    step = context.next_step.get(fleet.names[s], "")
    verdict.decision = "negotiate"
    wanted = (
        "its owner has to name the max_qps of its SLA"
        if fleet.third_party[s]
        else "load test it before the plan is approved"
    )
    verdict.why.append(
        f"what it can take is not known, while {format_qps(mid)} are expected in its worst second "
        f"({format_qps(high)} in 1 of 20 futures): {wanted}" + (f"; {step}" if step else "")
    )
    verdict.reject("scale out", "without a known capacity no number of instances can be called enough")


def _fixed(decided: Decided, s: int, context: Context, verdict: Verdict) -> None:
    fleet = decided.fleet
    mid, high = _peak(decided, s)
    over = float(decided.digest.overloaded[s])
    roof = float(np.fmin(fleet.fixed_qps[s], fleet.roof_qps[s]))
    verdict.why.append(
        f"takes {format_qps(roof)} whatever is added; {format_qps(mid)} are expected in the worst second "
        f"({format_qps(high)} in 1 of 20 futures), more than it takes with probability {format_percent(over)}"
    )
    mend = context.mends.get(s)
    if mend is None and over <= _promised(decided, s, context):
        verdict.reject(
            "raise its capacity", f"overloaded with probability {format_percent(over)} only, within the promise"
        )
        return
    verdict.decision = "negotiate" if fleet.third_party[s] else "optimise"
    if mend is not None:
        verdict.why.append(f"to keep the promise: {say_mend(decided, mend)}")
    verdict.reject(
        "scale out", "a third party is not ours to scale" if fleet.third_party[s] else "more instances do not help it"
    )
    verdict.reject("keep", f"then it is overloaded with probability {format_percent(over)}")


def _scaled(decided: Decided, s: int, context: Context, verdict: Verdict) -> None:
    fleet = decided.fleet
    pool = int(fleet.pool[s])
    n, now = int(decided.instances[pool]), int(fleet.now[pool])
    _say_size(decided, s, context, verdict)
    over = float(decided.digest.overloaded[s])
    mend = context.mends.get(s) or context.mends.get(fleet.names.index(fleet.pools[pool]))
    if n > now:
        verdict.decision = "scale_out"
        for option, because in not_taken(decided, s, risk=context.risk):
            verdict.reject(option, because)
    else:
        _could_shrink(decided, s, verdict)
    if mend is not None:
        verdict.decision = "negotiate" if mend.kind == "quota" or fleet.third_party[s] else "optimise"
        verdict.why.append(f"to keep the promise: {say_mend(decided, mend)}")
    elif n == now and fleet.tier[s] == 2 and over > context.risk.non_core_overload_probability:
        verdict.decision = "degrade"
        verdict.why.append("degradable: its limit turns the rest away instead of more instances")


def _say_size(decided: Decided, s: int, context: Context, verdict: Verdict) -> None:
    fleet = decided.fleet
    pool = int(fleet.pool[s])
    n, now = int(decided.instances[pool]), int(fleet.now[pool])
    mid, high = _peak(decided, s)
    capacity = decided.digest.capacity[:2, s]
    loss = f" after losing {int(fleet.losses[pool])} of {int(fleet.zones[pool])} zones" if fleet.losses[pool] else ""
    shares = int((fleet.pool == pool).sum())
    where = f" of the pool {fleet.pools[pool]}, shared by {shares} services," if shares > 1 else ""
    verdict.why.append(
        f"{format_qps(mid)} in the worst second ({format_qps(high)} in 1 of 20 futures); one instance takes "
        f"{format_qps(float(capacity[1]))} (at least {format_qps(float(capacity[0]))} with 95 %); {n} instances{where} "
        f"leave {int(decided.surviving[pool])}{loss}: overloaded with probability "
        f"{format_percent(float(decided.digest.overloaded[s]))}, {now} run today"
    )
    verdict.why.extend(_say_sharing(decided, pool))
    if fleet.losses[pool] < context.risk.zone_losses and fleet.scalable[pool]:
        verdict.why.extend(_say_zones(decided, pool, context))
    if fleet.tier[s] == 2:
        verdict.why.append("degradable: sized for its median future, protected by its limit beyond that")
    queue = context.queues.get(s)
    if queue is not None:
        verdict.why.append(
            f"behind a queue that may wait {format_seconds(queue.max_delay_s)}: sized for "
            f"{format_percent(queue.smoothing)} of "
            f"its worst second; up to {format_number(queue.backlog)} wait, gone after {format_seconds(queue.drain_s)}"
        )


def _say_zones(decided: Decided, pool: int, context: Context) -> list[str]:
    gap = zone_fact(decided, pool, zone_losses=context.risk.zone_losses)
    if gap is None:
        return []
    wider = context.risk.zone_losses + 1
    said = (
        f"{gap['zones']:.0f} zone(s) cannot survive the loss of {context.risk.zone_losses}: sized without a loss; "
        f"should it come, nothing is left and the overload probability is "
        f"{format_percent(gap['overload_probability'])}; over {wider} zones {gap['instances_if_spread']:.0f} instances "
        f"would survive it, for {format_number(gap['more_per_hour_if_spread'])} an hour more"
    )
    return [said]


def _say_sharing(decided: Decided, pool: int) -> list[str]:
    sharing, left = decided.fleet.sharing, decided.surviving
    at = np.flatnonzero(sharing.pool == pool)
    if not len(at):
        return []
    worth, n = float(np.median(sharing.worth(left)[:, pool])), int(left[pool])
    beyond = f", beyond the largest fleet tested ({sharing.tested[at[0]]})" if n > sharing.tested[at[0]] else ""
    among = int(sharing.among[at[0]])
    return [f"its instances share something: {n} serving{beyond} are worth {worth:.1f} of those among {among}"]


def _could_shrink(decided: Decided, s: int, verdict: Verdict) -> None:
    fleet = decided.fleet
    pool = int(fleet.pool[s])
    enough = int(decided.needed_by_phase[:, pool].max(initial=0))
    now = int(fleet.now[pool])
    bare = int(decided.bare_need[pool])
    if bare < now:
        saved = (now - max(bare, 1)) * float(fleet.cost[pool])
        verdict.reject(
            f"scale in to {max(bare, 1)} instances",
            f"would save {format_number(saved)} an hour; instances that run are not taken away before a promotion",
        )
    elif not fleet.scalable[pool]:
        whose = "a third party is not ours to scale" if fleet.third_party[s] else "more instances do not help it"
        verdict.reject("scale out", whose)
    else:
        verdict.reject("scale out", f"{enough} instances carry every future that the promise covers")


def _promised(decided: Decided, s: int, context: Context) -> float:
    tier = int(decided.fleet.tier[s])
    return context.risk.overload_probability if tier == 0 else context.risk.non_core_overload_probability


def _relief(decided: Decided, s: int, verdict: Verdict) -> None:
    if not decided.planned:
        return
    before = float(decided.digest.undegraded_mid[s])
    after = float(decided.digest.peak[1, s])
    if before > 0 and after < 0.999 * before:
        names = ", ".join(f.name for f in decided.planned)
        verdict.why.append(f"planned degradation ({names}) takes {format_qps(before - after)} off its worst second")
        if verdict.decision == "keep":
            verdict.decision = "degrade"


def _limit(decided: Decided, s: int, verdict: Verdict) -> None:
    limit = float(decided.limits.cluster_qps[s])
    if not np.isfinite(limit):
        verdict.why.append("no limit: neither its capacity nor that of anything behind it is known")
        return
    by = [decided.fleet.names[i] for i in decided.limits.limited_by[s]]
    q95 = float(decided.digest.rejected[1, s])
    held = f", held down by {', '.join(by[:3])}{_priced(decided, s)}" if by else ""
    verdict.why.append(
        f"cluster limit {format_qps(limit)}{held}; in the worst second it turns away {format_percent(q95)} in 1 "
        f"of 20 futures"
    )


def _priced(decided: Decided, s: int) -> str:
    """Say what one more request per second at the dearest of what holds the limit down would let in."""
    first = decided.limits.limited_by[s][0]
    price = float(decided.limits.price[first])
    if price < _CHEAP:
        return ""
    what = "orders/s" if decided.guard.value.any() else "core requests/s"
    return f" (one more request/s at {decided.fleet.names[first]} admits up to {price:.2g} more {what})"


def _asides(decided: Decided, s: int, context: Context, verdict: Verdict) -> None:
    fleet = decided.fleet
    warm = float(decided.digest.peak[1, s])
    cold = float(context.cold_qps[s])
    if cold > 1.2 * warm:
        takes = float(decided.safe_qps[s])
        verdict.why.append(
            f"with cold caches {format_qps(cold)} reach it instead of {format_qps(warm)}"
            + (f", of which it takes {format_qps(takes)}: warm them before the start" if cold > takes else "")
        )
    found = context.connections.get(s)
    if found is not None:
        verdict.why.append(f"callers open {format_number(found.opened)} of {format_number(found.most)} connections")
        if found.opened > found.most and verdict.decision in ("keep", "scale_out"):
            verdict.decision = "negotiate" if fleet.third_party[s] else "optimise"
    roof = float(fleet.roof_qps[s])
    if np.isfinite(roof):
        over = float(decided.digest.beyond_roof[s])
        verdict.why.append(
            f"beyond {format_qps(roof)} its hottest key or max_qps gives way, whatever the instances: "
            f"probability {format_percent(over)}"
        )
