"""What really is: capacities, offered peaks, demand, and a replay of any fleet against them."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from capacity.demo.candidates import Seconds
from capacity.demo.graph import Floats
from capacity.demo.services import DEGRADES, NAMES

FILE = "truth/truth.json"
SCHEMA = "capacity.demo.truth/1"


@dataclass(frozen=True)
class Truth:
    """The truth of a sample company. Nothing but tests and benchmarks may read it.

    Parameters
    ----------
    seed
        Seed of the company.
    instance_capacity_qps
        By scalable service: arrivals per second and instance up to which every given part of the SLO holds in
        the open model.
    capacity_by_part_qps
        The same for each part of the SLO alone.
    fixed_capacity_qps
        Total capacity of what cannot be scaled, by service.
    tiers, zones, instances_now
        By service (instances: scalable ones).
    dau, dat
        By promotion and local date: the de-duplicated users, and the orders offered before any limit.
    offered_peak_qps
        By promotion, service and phase: largest count of one second, before any limit and without degradation.
    peak_tps
        By promotion: largest count of order submissions of one second, before any limit.
    peak_at
        By promotion: when that was, ISO 8601.
    queued_qps
        By promotion and service behind a queue: smallest rate of completion that keeps every wait within `max_delay_s`.
    process
        All parameters of the process.
    seconds
        By promotion: the seconds at which some service is busiest.
    """

    seed: int
    instance_capacity_qps: dict[str, float]
    capacity_by_part_qps: dict[str, dict[str, float]]
    fixed_capacity_qps: dict[str, float]
    tiers: dict[str, str]
    zones: dict[str, int]
    instances_now: dict[str, int]
    dau: dict[str, dict[str, float]]
    dat: dict[str, dict[str, float]]
    offered_peak_qps: dict[str, dict[str, dict[str, float]]]
    peak_tps: dict[str, float]
    peak_at: dict[str, str]
    queued_qps: dict[str, dict[str, float]]
    process: dict[str, Any]
    seconds: dict[str, Seconds]

    def replay(
        self,
        *,
        instances: Mapping[str, int],
        promotion_id: str,
        zone_losses: int = 1,
        degraded_features: Collection[str] = (),
    ) -> pd.DataFrame:
        """Play a promotion's seconds against a fleet, without limits.

        Parameters
        ----------
        instances
            Instances of each scalable service before a loss, spread evenly over zones; what is not named runs as today.
        promotion_id
            A recorded promotion.
        zone_losses
            Zones that are gone all the time: ``n − losses × ⌈n / zones⌉`` instances survive. Fixed capacities stay.
        degraded_features
            Features that are off all the time.

        Returns
        -------
        pandas.DataFrame
            service, tier, offered_qps (largest second; for a service behind a queue the smallest rate that keeps its
            wait within `max_delay_s`), capacity_qps (at the SLO), overloaded, is_fixed.

        Raises
        ------
        ValueError
            For an unknown promotion, service or feature.
        """
        self._check(instances, promotion_id, degraded_features)
        seconds = self.seconds[promotion_id].offered(tuple(degraded_features))
        rows = []
        for name in NAMES:
            offered = self.queued_qps[promotion_id].get(name, float(seconds[name].max()))
            capacity = self._capacity(name, instances, zone_losses)
            fixed = name in self.fixed_capacity_qps
            rows.append((name, self.tiers[name], offered, capacity, offered > capacity, fixed))
        columns = ["service", "tier", "offered_qps", "capacity_qps", "overloaded", "is_fixed"]
        return pd.DataFrame(rows, columns=columns)

    def _capacity(self, name: str, instances: Mapping[str, int], zone_losses: int) -> float:
        if name in self.fixed_capacity_qps:
            return self.fixed_capacity_qps[name]
        count = int(instances.get(name, self.instances_now[name]))
        left = max(count - zone_losses * -(-count // self.zones[name]), 0)
        return left * self.instance_capacity_qps[name]

    def _check(self, instances: Mapping[str, int], promotion_id: str, features: Collection[str]) -> None:
        if promotion_id not in self.seconds:
            raise ValueError(f"promotion {promotion_id!r} is not among those replayed: {sorted(self.seconds)}")
        unknown = sorted(set(instances) - set(NAMES))
        if unknown:
            raise ValueError(f"unknown services {unknown}; the company has {list(NAMES)}")
        strange = sorted(set(features) - set(DEGRADES))
        if strange:
            raise ValueError(f"unknown features {strange}; the company has {sorted(DEGRADES)}")

    def to_json(self) -> str:
        """Give the text of truth.json."""
        document = {key: value for key, value in vars(self).items() if key != "seconds"}
        document["seconds"] = {name: part.to_document() for name, part in self.seconds.items()}
        return json.dumps({"schema": SCHEMA, **document}, ensure_ascii=False, allow_nan=False) + "\n"


def read_truth(directory: str | Path) -> Truth:
    """Read the truth of a sample company written by `capacity init --sample`.

    Parameters
    ----------
    directory
        The workspace, or its ``truth`` folder.

    Raises
    ------
    FileNotFoundError
        When there is no truth.json.
    ValueError
        When it is of another schema.
    """
    folder = Path(directory)
    path = folder / "truth.json" if (folder / "truth.json").is_file() else folder / FILE
    return parse_truth(path.read_text(encoding="utf-8"))


def parse_truth(text: str) -> Truth:
    """Read the text of truth.json."""
    document = json.loads(text)
    if document.pop("schema", None) != SCHEMA:
        raise ValueError(f"truth.json is not of schema {SCHEMA!r}; make the sample company anew")
    document["seconds"] = {name: Seconds.from_document(part) for name, part in document["seconds"].items()}
    return Truth(**document)


def queued_rate(arrivals: Floats, *, max_delay_s: float) -> float:
    """Smallest rate of completion at which no request waits longer than `max_delay_s` behind a queue.

    Examples
    --------
    >>> round(queued_rate(np.array([100.0] + [0.0] * 99, np.float32), max_delay_s=50), 1)
    2.0
    """
    cumulative = np.cumsum(arrivals, dtype=np.float64)
    low, high = 0.0, float(arrivals.max())
    steps = np.arange(1, len(cumulative) + 1)
    for _ in range(18):
        rate = (low + high) / 2
        drift = cumulative - rate * steps
        backlog = drift - np.minimum(np.minimum.accumulate(drift), 0.0)
        if backlog.max() <= rate * max_delay_s:
            high = rate
        else:
            low = rate
    return high
