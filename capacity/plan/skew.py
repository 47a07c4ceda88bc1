"""What an instance's limit turns away wrongly where the balancer spreads unevenly, for all services at once."""

from dataclasses import dataclass

import numpy as np

from capacity.plan.sizing import Floats

# Relative spread of the shares 40/33/27 of three instances, the customary example of a skewed balancer. Nothing in the
# tables says how a company's own balancers spread, so it is an assumption of every plan.
IMBALANCE = 0.16
_SECONDS = 0.95  # seconds in which the busiest instance gets no more than is said


@dataclass(frozen=True)
class Skew:
    """Both variants of an instance's limit under skew; all arrays (s,), NaN where there is no limit.

    Attributes
    ----------
    busiest_factor : ndarray
        Requests of the busiest of all instances ÷ the mean, in 19 of 20 seconds at the cluster limit.
    safe_at_limit, safe_at_q95, safe_zone_lost : ndarray
        Share that the safe variant, limit ÷ instances, turns away wrongly: when exactly the cluster limit is offered;
        at the 95 % demand, if that is less; at the cluster limit with the zones gone.
    no_false_reject_qps : ndarray
        Limit of an instance that turns nothing away wrongly, with the zones gone too, in 19 of 20 seconds.
    admits_alone : ndarray
        What that variant lets through without the cluster limit beside it, as a multiple of the cluster limit.
    """

    busiest_factor: Floats
    safe_at_limit: Floats
    safe_at_q95: Floats
    safe_zone_lost: Floats
    no_false_reject_qps: Floats
    admits_alone: Floats


def share_spread(rate_qps: Floats, instances: Floats, *, imbalance: float = IMBALANCE) -> Floats:
    """Compute the relative spread of what instances get in one second, requests falling at random.

    Parameters
    ----------
    rate_qps, instances : ndarray
        Rate of all instances together, and how many there are.
    imbalance : float
        Relative spread of their long-run shares.

    Notes
    -----
    Counts of one second are multinomial: variance λ/n · (1 − 1/n) around shares that differ by ``imbalance``.

    Examples
    --------
    >>> share_spread(np.array([400.0, 400.0]), np.array([1.0, 4.0]), imbalance=0.0)
    array([0.        , 0.08660254])
    """
    each = np.divide(rate_qps, instances, out=np.zeros(len(rate_qps)), where=rate_qps > 0)
    noise = np.divide(1.0, each, out=np.zeros(len(each)), where=each > 0)
    return np.asarray(np.sqrt((imbalance**2 + noise) * (1.0 - 1.0 / instances)), dtype=float)


def rejected_wrongly(offered_qps: Floats, each_qps: Floats, instances: Floats, *, spread: Floats) -> Floats:
    """Compute the share of what is offered that instances' own limits turn away, loads being normal.

    Notes
    -----
    E[max(X − k, 0)] of a normal X with mean m and deviation s is (m − k) Φ((m − k)/s) + s φ((m − k)/s).

    Examples
    --------
    >>> rejected_wrongly(np.array([100.0]), np.array([50.0]), np.array([2.0]), spread=np.array([0.1])).round(4)
    array([0.0399])
    """
    from scipy.special import ndtr

    mean = offered_qps / instances
    deviation = np.maximum(spread * mean, 1e-12)
    z = np.clip((mean - each_qps) / deviation, -40.0, 40.0)
    over = (mean - each_qps) * ndtr(z) + deviation * np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi)
    part = np.divide(over, mean, out=np.zeros(len(mean)), where=mean > 0)
    return np.asarray(np.where(part < 1e-9, 0.0, np.minimum(part, 1.0)), dtype=float)


def read_skew(cluster_qps: Floats, instances: Floats, surviving: Floats, *, demand_qps: Floats) -> Skew:
    """Weigh both variants of every service's instance limit.

    Parameters
    ----------
    cluster_qps : ndarray (s,)
        Infinite where there is none.
    instances, surviving : ndarray (s,)
        All instances, and those left when the zones are gone; at least 1.
    demand_qps : ndarray (s,)
        What comes in 1 of 20 futures.
    """
    limit = np.where(np.isfinite(cluster_qps), cluster_qps, np.nan)
    known = np.where(np.isfinite(limit), limit, 0.0)
    offered = np.minimum(demand_qps, known)
    each = known / instances
    spread = share_spread(known, instances)
    lost = share_spread(known, surviving)
    most = known / surviving * _busiest(lost, surviving)
    gone = np.isnan(limit)

    def hide(values: Floats) -> Floats:
        return np.where(gone, np.nan, values)

    return Skew(
        busiest_factor=hide(_busiest(spread, instances)),
        safe_at_limit=hide(rejected_wrongly(known, each, instances, spread=spread)),
        safe_at_q95=hide(rejected_wrongly(offered, each, instances, spread=share_spread(offered, instances))),
        safe_zone_lost=hide(rejected_wrongly(known, each, surviving, spread=lost)),
        no_false_reject_qps=hide(most),
        admits_alone=hide(np.divide(most * instances, known, out=np.zeros(len(known)), where=known > 0)),
    )


def _busiest(spread: Floats, instances: Floats) -> Floats:
    """Return the factor on the mean that the largest of so many loads keeps to in 19 of 20 seconds; at most all."""
    from scipy.special import ndtri

    return np.asarray(np.minimum(1.0 + spread * ndtri(_SECONDS ** (1.0 / instances)), instances), dtype=float)
