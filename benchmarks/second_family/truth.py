"""What really is, in the shape that a judge of plans needs: demand, offered peaks, and a replay of any fleet."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd


@dataclass(frozen=True)
class SecondTruth:
    """The truth of a company of the second family; the names are those of `capacity.demo.Truth`.

    Parameters
    ----------
    seed
        Of the company.
    instance_capacity_qps, fixed_capacity_qps
        At the SLO: an instance of each service that scales; in all, of what does not.
    tiers, instances_now
        By service.
    zones
        Over which every service spreads.
    dau, dat
        By promotion and local date: users without doubles; orders offered before any limit.
    offered_peak_qps
        By promotion, service and phase: largest second, before any limit and with nothing degraded.
    peak_tps, peak_at
        By promotion: orders of the largest second, and when.
    queued_qps
        By promotion and service behind a queue: smallest rate at which nobody waits longer than allowed.
    degraded_peak_qps
        For the promotion to plan, by set of features that are off: largest second by service.
    process
        What the company was drawn as.
    """

    seed: int
    instance_capacity_qps: dict[str, float]
    fixed_capacity_qps: dict[str, float]
    tiers: dict[str, str]
    instances_now: dict[str, int]
    zones: int
    dau: dict[str, dict[str, float]]
    dat: dict[str, dict[str, float]]
    offered_peak_qps: dict[str, dict[str, dict[str, float]]]
    peak_tps: dict[str, float]
    peak_at: dict[str, str]
    queued_qps: dict[str, dict[str, float]]
    degraded_peak_qps: dict[str, dict[frozenset[str], dict[str, float]]]
    process: dict[str, Any]

    def replay(
        self,
        *,
        instances: Mapping[str, int],
        promotion_id: str,
        zone_losses: int = 1,
        degraded_features: Collection[str] = (),
    ) -> pd.DataFrame:
        """Play the promotion to plan against a fleet, without limits.

        Parameters
        ----------
        instances
            Instances of each service that scales, before a loss; what is not named runs as today.
        promotion_id
            The promotion to plan.
        zone_losses
            Zones that are gone all the time: ``n − losses × ⌈n / zones⌉`` instances survive.
        degraded_features
            Features that are off all the time.

        Returns
        -------
        pandas.DataFrame
            service, tier, offered_qps, capacity_qps, overloaded, is_fixed.

        Raises
        ------
        ValueError
            For another promotion, or a service or feature that the company does not have.
        """
        by_features = self.degraded_peak_qps.get(promotion_id)
        strange = sorted(set(instances) - set(self.tiers))
        if by_features is None or strange or frozenset(degraded_features) not in by_features:
            known = f"{sorted(self.degraded_peak_qps)}, {sorted(self.tiers)}, {[*(by_features or {})]}"
            asked = f"{promotion_id!r}, services {strange}, features {sorted(degraded_features)}"
            raise ValueError(f"no replay of {asked}; the company has {known}")
        peaks = by_features[frozenset(degraded_features)] | self.queued_qps[promotion_id]
        rows = []
        for name, tier in self.tiers.items():
            capacity = self._capacity(name, instances, zone_losses)
            rows.append((name, tier, peaks[name], capacity, peaks[name] > capacity, name in self.fixed_capacity_qps))
        columns = ["service", "tier", "offered_qps", "capacity_qps", "overloaded", "is_fixed"]
        return pd.DataFrame(rows, columns=columns)

    def _capacity(self, name: str, instances: Mapping[str, int], zone_losses: int) -> float:
        if name in self.fixed_capacity_qps:
            return self.fixed_capacity_qps[name]
        count = int(instances.get(name, self.instances_now[name]))
        return max(count - zone_losses * -(-count // self.zones), 0) * self.instance_capacity_qps[name]
