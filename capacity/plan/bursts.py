"""How much a limit may let through at once: token buckets sized to the queues behind them."""

import numpy as np

from capacity.plan.network import Network, downwards_least
from capacity.plan.rows import Rows
from capacity.plan.sizing import Bools, Floats

DEFAULT_WAIT_S = 0.1  # where neither an SLO nor a timeout says what waiting may cost: said in every plan that uses it
_PART = 0.5  # of an SLO's latency, or of a timeout that leaves no room beside the SLO, that a queue may use up


def burst_seconds(network: Network, rows: Rows, cluster_qps: Floats, *, wait_s: Floats) -> Floats:
    """Seconds' worth of its limit that each service may admit at once, (s,); infinite where no capacity is known.

    Parameters
    ----------
    network : Network
    rows : Rows
        Safe capacities.
    cluster_qps : ndarray (s,)
        Limits that `capacity.plan.limits.allocate` found: rates of a flow that fits.
    wait_s : ndarray (s,)
        How long requests may wait at each service.

    Notes
    -----
    Network calculus: what a bucket (rate ρ, burst b) lets through meets, at a server of rate R ≥ ρ, a delay of at most
    b / R, and leaves it constrained by the same ρ and b. Buckets of rate L_s and burst θ_s · L_s therefore send a
    service d at most Σ_c θ_c · L_c · calls(c → d) ≤ θ_d · L_d beyond its rate as long as no caller's θ is above its
    callee's, for the limits themselves add up. So θ_s is the least wait ÷ utilization of everything that s needs, and
    then no bucket turns away what the ones before it let through. What waits at one callee before the next is
    called is not in it.

    References
    ----------
    Le Boudec, Thiran: Network Calculus (2001), section 1.4; Cruz: A calculus for network delay (1991).

    Examples
    --------
    >>> one, yes = np.array([1.0]), np.array([True])
    >>> chain = Network(2, np.array([0]), np.array([1]), one, one, np.array([0]), yes, ~yes)
    >>> rows = Rows.build([np.inf, 100.0], pool=np.arange(2), pooled=np.full(2, np.inf))
    >>> burst_seconds(chain, rows, np.array([50.0, 50.0]), wait_s=np.array([1.0, 0.2]))
    array([0.4, 0.4])
    """
    used = np.asarray(rows.use @ np.where(np.isfinite(cluster_qps), cluster_qps, 0.0)).ravel()
    at = rows.use.tocoo()
    wait = np.full(len(used), np.inf)
    np.minimum.at(wait, at.row, wait_s[at.col])
    return downwards_least(
        network, rows.tightest(np.divide(wait, used, out=np.full(len(used), np.inf), where=used > 0))
    )


def waiting_room(network: Network, slo_s: Floats) -> tuple[Floats, Bools]:
    """Seconds that requests may wait at each service, and where that is only assumed.

    Parameters
    ----------
    network : Network
        With the catalogue's calls.
    slo_s : ndarray (s,)
        Latency that each service promises; NaN where it promises none.

    Notes
    -----
    Of a caller's timeout, what an answer at the callee's SLO leaves, or half of it where that is nothing; of the
    service's own SLO a half, so that the slowest answers take one and a half times as long while a burst is worked off.
    """
    out = np.where(np.isnan(slo_s), np.inf, _PART * slo_s)
    timeout = np.array([np.nan if c.timeout_ms is None else c.timeout_ms / 1000.0 for c in network.call], dtype=float)
    at = np.flatnonzero(np.isfinite(timeout) & ~network.queued) if len(timeout) else np.zeros(0, dtype=np.int64)
    promised = np.nan_to_num(slo_s[network.callee[at]], nan=np.inf)
    left = np.where(promised < timeout[at], timeout[at] - promised, _PART * timeout[at])
    np.minimum.at(out, network.callee[at], left)
    assumed = np.isinf(out)
    return np.where(assumed, DEFAULT_WAIT_S, out), assumed
