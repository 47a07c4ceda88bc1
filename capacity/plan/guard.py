"""What the limits protect and whom they serve: capacities, demand and value of a plan, ready to be shared out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from capacity.plan.fleet import Fleet, Offered, low_capacity
from capacity.plan.limits import Limits, allocate
from capacity.plan.network import Matrix, Network, through
from capacity.plan.rows import Rows
from capacity.plan.sizing import Bools, Floats, Ints
from capacity.plan.turned_away import external_qps

SAFE_QUANTILE = 0.05  # limits protect what a service can take with 95 % probability
DEMAND_QUANTILE = 0.95  # demand that limits try to admit before they share what is left


@dataclass(frozen=True)
class Guard:
    """Inputs of `allocate`.

    Attributes
    ----------
    rows : Rows
    typical_qps, demand_qps, largest_qps : ndarray (s,)
        What comes from outside in the worst second: its median, its 95 % quantile, and the largest of all futures.
    entry, core : ndarray (s,)
    value : ndarray (s,)
        Orders that one request causes at and behind each service.
    """

    rows: Rows
    typical_qps: Floats
    demand_qps: Floats
    largest_qps: Floats
    entry: Bools
    core: Bools
    value: Floats

    def limits(self, network: Network) -> Limits:
        """Share the capacities out."""
        return allocate(
            network, self.rows, demand_qps=self.demand_qps, largest_qps=self.largest_qps,
            entry=self.entry, core=self.core, value=self.value,
        )  # fmt: skip

    def cold_limits(self, network: Network) -> Limits | None:
        """Limits while every cache is cold; None where that changes nothing."""
        if np.array_equal(network.calls, network.cold_calls):
            return None
        return self.limits(replace(network, calls=network.cold_calls))


def read_guard(
    fleet: Fleet,
    offered: Offered,
    safe: Floats,
    serving: Ints,
    *,
    networks: Sequence[Network],
    entry: Bools,
    transaction: Ints,
    per_order: Floats,
    ceiling: float,
) -> Guard:
    """Read what limits protect.

    Parameters
    ----------
    fleet : Fleet
    offered : Offered
    safe : ndarray (s,)
        What each service takes alone.
    serving : ndarray (p,)
        Instances that serve after the loss.
    networks : sequence of Network
        The call graph of every phase, without the calls that are planned off.
    entry : ndarray (s,)
    transaction, per_order : ndarray
        Services that count transactions; requests to each that make one order.
    ceiling : float
        Share of a capacity that a plan may use.
    """
    whole = low_capacity(fleet, serving, quantile=SAFE_QUANTILE) * ceiling
    pooled = np.where(np.isfinite(whole) & ~fleet.is_fixed, whole, np.inf)
    single = np.where(fleet.is_fixed | np.isfinite(fleet.roof_qps), safe, np.inf)
    outside = np.zeros(offered.peak_qps[:, 0].shape)
    for phase, network in enumerate(networks):
        np.maximum(outside, external_qps(network, offered.peak_qps[:, phase]), out=outside)
    orders = np.zeros(len(fleet.names))
    orders[transaction] = 1.0 / per_order
    typical, demand = np.quantile(outside, [0.5, DEMAND_QUANTILE], axis=0)
    return Guard(
        rows=Rows.build(single, pool=fleet.pool, pooled=pooled),
        typical_qps=typical,
        demand_qps=demand,
        largest_qps=np.asarray(outside.max(axis=0, initial=0.0), dtype=float),
        entry=entry,
        core=fleet.tier == 0,
        value=through(orders, Matrix(fleet.network.matrix().T)),
    )
