"""From a cluster limit to the limit of one instance, when the balancer spreads unevenly."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike


@dataclass(frozen=True)
class InstanceLimits:
    """Two ways to give each instance its part of a cluster limit.

    Attributes
    ----------
    safe_qps : float
        Limit ÷ instances: the sum can never exceed the cluster limit.
    no_false_reject_qps : float
        Limit × the largest share: no instance turns away what the cluster would still admit; needs the
        cluster limit beside it, for alone it lets through up to instances × share times as much.
    safe_admits_qps : float
        What the safe variant lets through when exactly the cluster limit is offered.
    safe_rejects_wrongly : float
        Share of it that the safe variant then turns away although the cluster would take it.
    no_false_reject_admits_qps : float
        What the other variant lets through at most without the cluster limit beside it.
    """

    safe_qps: float
    no_false_reject_qps: float
    safe_admits_qps: float
    safe_rejects_wrongly: float
    no_false_reject_admits_qps: float


def instance_limits(cluster_qps: float, instances: int, *, shares: ArrayLike | None = None) -> InstanceLimits:
    """Split a cluster limit over instances.

    Parameters
    ----------
    cluster_qps : float
        Limit of all instances together.
    instances : int
        How many there are.
    shares : array (instance,), optional
        Share of the traffic that each gets; even when unknown.

    Raises
    ------
    ValueError
        If there is no instance, or shares do not add up to one.

    Examples
    --------
    >>> limits = instance_limits(100.0, 3, shares=[0.40, 0.33, 0.27])
    >>> round(limits.safe_qps, 2), round(limits.no_false_reject_qps, 2), round(limits.safe_admits_qps, 2)
    (33.33, 40.0, 93.33)
    >>> round(limits.safe_rejects_wrongly, 4), round(limits.no_false_reject_admits_qps, 2)
    (0.0667, 120.0)
    """
    if instances < 1:
        raise ValueError(f"instances: got {instances}, expected at least 1")
    part = np.full(instances, 1.0 / instances) if shares is None else np.asarray(shares, dtype=float)
    if len(part) != instances or not np.isclose(part.sum(), 1.0, atol=1e-6) or (part < 0).any():
        raise ValueError(f"shares: got {part.tolist()}, expected {instances} shares that add up to 1")
    safe = cluster_qps / instances
    most = cluster_qps * float(part.max())
    through = float(np.minimum(part, 1.0 / instances).sum())
    admitted = cluster_qps * through if np.isfinite(cluster_qps) else np.inf
    return InstanceLimits(safe, most, admitted, 1.0 - through, most * instances)
