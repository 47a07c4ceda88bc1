"""What goes wrong with limits as they are typed in: warm-up, rounding, windows, shared limits."""

from dataclasses import dataclass

import numpy as np

from capacity.display.numbers import format_number, format_percent, format_qps
from capacity.plan.decide import Decided
from capacity.plan.fleet import TIERS
from capacity.plan.sizing import Bools, Floats
from capacity.plan.warm_up import COLD_FACTOR, WARM_UP_S, lost_while_warming

_ROUNDS_AWAY = 0.05  # share of a limit that whole requests may cost before it is said


@dataclass(frozen=True)
class Facts:
    """What the warnings need of all services, (s,).

    Attributes
    ----------
    instance_qps : ndarray
        The safe variant of an instance's limit.
    burst_s, instance_burst : ndarray
        Burst in seconds of the limit; requests that one instance may let through at once.
    orders_per_request : ndarray
    guessed : ndarray
        Whether nobody said how many instances run.
    """

    instance_qps: Floats
    burst_s: Floats
    instance_burst: Floats
    orders_per_request: Floats
    guessed: Bools


def limit_warnings(decided: Decided, facts: Facts) -> list[list[str]]:
    """Return every service's warnings, in the catalogue's order."""
    fleet, limit = decided.fleet, decided.limits.cluster_qps
    out: list[list[str]] = [[] for _ in fleet.names]
    middle = decided.digest.peak[1]
    for s in np.flatnonzero(~np.isfinite(limit)):
        out[s].append("no limit protects it: load test it or name its max_qps")
    waits = decided.offered.smoothing < 1.0
    for s in np.flatnonzero(np.isfinite(limit) & waits):
        out[s].append(
            "its limit is how fast its queue is worked off: set it where work is taken from the queue; handing work in "
            "needs none"
        )
    for s in np.flatnonzero(np.isfinite(limit) & (middle > limit) & ~waits):
        out[s].append(
            f"the limit is below the middle worst second ({format_qps(float(middle[s]))}): in more than half of all "
            "futures it turns requests away"
        )
    _warn_of_warm_up(decided, facts, out)
    _warn_of_rounding(decided, facts, out)
    _warn_of_windows(decided, facts, out)
    _warn_of_callers(decided, out)
    return out


def _warn_of_warm_up(decided: Decided, facts: Facts, out: list[list[str]]) -> None:
    """Where the opening's first second is beyond a third of the limit and the time before has not warmed it."""
    limit = np.where(np.isfinite(decided.limits.cluster_qps), decided.limits.cluster_qps, 0.0)
    load = np.median(decided.offered.peak_qps, axis=0)
    peak = int(load.sum(axis=1).argmax())
    before = load[peak - 1] if peak else np.zeros(len(limit))
    lost = lost_while_warming(load[peak], limit)
    part = limit / COLD_FACTOR
    for s in np.flatnonzero((lost >= 1.0) & (before < part)):
        offered = min(float(load[peak, s]), float(limit[s]))
        orders = float(lost[s] * facts.orders_per_request[s])
        worth = f", {format_number(orders)} orders" if orders >= 1.0 else ""
        out[s].append(
            f"a limiter that warms up (cold factor {COLD_FACTOR:g}, {WARM_UP_S:g} s) "
            f"admits {format_qps(float(part[s]))} at the opening second of {format_qps(offered)}: until it is "
            f"warm it turns away {format_number(float(lost[s]))} requests{worth}, none of which the "
            "limit would; switch warm-up off"
        )


def _warn_of_rounding(decided: Decided, facts: Facts, out: list[list[str]]) -> None:
    each, ours = facts.instance_qps, ~decided.fleet.third_party & np.isfinite(facts.instance_qps)
    for s in np.flatnonzero(ours & facts.guessed):
        out[s].append("nobody said how many instances run: if more do, an instance's limit protects nothing")
    for s in np.flatnonzero(ours & (each < 1.0)):
        out[s].append(
            f"an instance's limit of {each[s]:.2g} requests/s rounds down to 0, which lets nothing through: limit the "
            "cluster, or per minute"
        )
    each = np.where(ours, each, 1.0)
    loss = 1.0 - np.floor(each) / np.maximum(each, 1e-12)
    for s in np.flatnonzero(ours & (each >= 1.0) & (loss > _ROUNDS_AWAY)):
        out[s].append(f"rounded down to whole requests its instances admit {format_percent(float(loss[s]))} less")
    for s in np.flatnonzero(ours & (each >= 1.0) & (facts.instance_burst < 1.0)):
        out[s].append(
            "an instance's burst is less than one request, which a bucket has to hold: keep the burst at the cluster's "
            "limiter"
        )


def _warn_of_windows(decided: Decided, facts: Facts, out: list[list[str]]) -> None:
    """Windows of one second let through two limits' worth around an edge."""
    core = decided.fleet.tier == 0
    for s in np.flatnonzero(core & (facts.burst_s < 2.0)):
        out[s].append(
            f"a limiter of fixed one-second windows lets twice the limit through around their edge, "
            f"{2.0 / max(float(facts.burst_s[s]), 1e-9):.0f} times the burst that the queues behind it bear: use a "
            "token bucket"
        )


def _warn_of_callers(decided: Decided, out: list[list[str]]) -> None:
    """Warn where callers of lower tiers could use up what core calls need: a limit says how much, not whose."""
    fleet, network = decided.fleet, decided.fleet.network
    use = network.calls > 0
    tier = np.full((len(TIERS), network.size), False)
    tier[fleet.tier[network.caller[use]], network.callee[use]] = True
    finite = np.isfinite(decided.limits.cluster_qps)
    for s in np.flatnonzero(finite & tier[0] & tier[1:].any(axis=0)):
        low = np.unique(network.caller[use & (network.callee == s) & (fleet.tier[network.caller] > 0)])
        names = ", ".join(fleet.names[c] for c in low[:3]) + (", …" if len(low) > 3 else "")
        out[s].append(f"its limit does not tell core callers from {names}: enforce the edges' limits beside it")
