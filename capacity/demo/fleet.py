"""What the company ran and allowed: instances, fixed capacities, limits, switched-off features, lost logs."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from capacity.demo.events import Event
from capacity.demo.parameters import Parameters
from capacity.demo.randomness import nice, nice_up, stream
from capacity.demo.services import FIXED, TrueService

ZONES = 3
LAST_YEAR = "2025-double11"


@dataclass(frozen=True)
class Fleet:
    """Standing decisions of the company.

    Parameters
    ----------
    fixed_qps
        Total capacity of what cannot be scaled.
    instances_now
        Instances on ordinary days, by scalable service.
    quota
        Most instances one may have.
    limit_share
        By promotion: what checkout let through in a second, as a share of the largest second that was offered.
    lost_hours
        First and last hour (from the origin) whose logs are lost; all of one day.
    """

    fixed_qps: dict[str, float]
    instances_now: dict[str, int]
    quota: dict[str, int]
    limit_share: dict[str, float]
    lost_hours: tuple[int, int]


@dataclass(frozen=True)
class Night:
    """What was run for one promotion.

    Parameters
    ----------
    instances
        By scalable service.
    limit_qps
        Requests a second that checkout let through; None without a limit.
    off
        By feature: first and last second (from the origin) at which it was off.
    """

    instances: dict[str, int]
    limit_qps: float | None
    off: dict[str, tuple[int, int]]


def make_fleet(
    parameters: Parameters,
    services: Mapping[str, TrueService],
    *,
    last_peaks: Mapping[str, float],
    ordinary_peaks: Mapping[str, float],
    target: str,
) -> Fleet:
    """Size the company's standing fleet as its people did: from what they saw, with margins that differ.

    Parameters
    ----------
    parameters, services
        The company.
    last_peaks
        Largest second of last year's Double 11 by service.
    ordinary_peaks
        Largest ordinary hour's requests a second of the last weeks by service.
    target
        The promotion that the journal tells of.
    """
    rng = stream(parameters.seed, "fleet")
    now, quota = {}, {}
    for name, service in services.items():
        now[name] = in_zones(rng.uniform(1.6, 2.4) * ordinary_peaks[name] / service.capacity_qps)
        peak = max(last_peaks[name], last_peaks["checkout"])  # a new service is asked once an order
        quota[name] = max(int(nice_up(6 * peak / service.capacity_qps)), 30, 3 * now[name])
    tight = rng.random() < 0.15
    fixed = {}
    for name in FIXED:
        room = rng.uniform(1.0, 1.3) if tight and name == "payco-gateway" else rng.uniform(2.0, 3.2)
        fixed[name] = nice_up(room * last_peaks[name])
    day = int(rng.integers(900, 970))
    return Fleet(fixed, now, quota, _draw_limit_shares(parameters, target), (day * 24 + 13, day * 24 + 19))


def _draw_limit_shares(parameters: Parameters, target: str) -> dict[str, float]:
    """Draw which past promotions had a limit that turned orders away, and the limit of the coming one."""
    rng = stream(parameters.seed, "limits")
    limited = [LAST_YEAR if rng.random() < 0.3 else "2024-double11"]
    if rng.random() < 0.5:
        limited.append("2025-618")
    return {**{name: float(rng.uniform(0.55, 0.80)) for name in limited}, target: float(rng.uniform(0.9, 1.4))}


def make_night(
    parameters: Parameters,
    services: Mapping[str, TrueService],
    fleet: Fleet,
    event: Event,
    *,
    peaks: Mapping[str, float],
    is_target: bool,
) -> Night:
    """Size one promotion's fleet and limit as its people did, from offered peaks that they guessed well enough."""
    rng = stream(parameters.seed, "night", event.id)
    share, limit = fleet.limit_share.get(event.id), None
    if share is not None:
        limit = max(nice(share * peaks["checkout"]), 1.0)
    counts = {}
    for name, service in services.items():
        peak = min(peaks[name], limit) if name == "checkout" and limit is not None else peaks[name]
        counts[name] = in_zones(float(np.exp(rng.normal(0.35, 0.12))) * peak / service.capacity_qps)
    off = {}
    if is_target:
        start = event.starts_s
        off = {"recommendations": (start - 1800, start + 3 * 3600), "similar-items": (start + 300, 2**40)}
    return Night(counts, limit, off)


def in_zones(instances: float) -> int:
    """So many instances, rounded up to the same number in each zone.

    Examples
    --------
    >>> in_zones(0.2), in_zones(7.1)
    (3, 9)
    """
    return max(ZONES * int(np.ceil(instances / ZONES)), ZONES)
