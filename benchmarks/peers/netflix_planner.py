"""Run Netflix's planner on one stateless service, in its own environment: JSON in on standard input, JSON out."""

import json
import sys
import time
from typing import Any


def plan(asked: dict[str, Any]) -> dict[str, Any]:
    """Return seconds of the second run, instances, machine and virtual processors of the least regret."""
    from service_capacity_modeling.capacity_planner import planner
    from service_capacity_modeling.interface import (
        AccessPattern,
        CapacityDesires,
        DataShape,
        Interval,
        QueryPattern,
    )

    def interval(low: float, mid: float, high: float) -> Interval:
        return Interval(low=low, mid=mid, high=high, confidence=0.9)

    desires = CapacityDesires(
        service_tier=1,
        query_pattern=QueryPattern(
            access_pattern=AccessPattern.latency,
            estimated_read_per_second=interval(*asked["requests_per_second"]),
            estimated_write_per_second=interval(0, 0, 0),
            estimated_mean_read_latency_ms=interval(*asked["processor_ms"]),
        ),
        data_shape=DataShape(),
    )
    spent = []
    for _ in range(2):  # the first run loads its catalogue of machines
        wall, processor = time.perf_counter(), time.process_time()
        found = planner.plan(model_name="org.netflix.stateless-java", region="us-east-1", desires=desires)
        spent.append({"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - processor})
    cluster = found.least_regret[0].candidate_clusters.regional[0]
    machine = cluster.instance
    return {**spent[-1], "instances": cluster.count, "machine": machine.name, "processors": cluster.count * machine.cpu}


if __name__ == "__main__":
    json.dump(plan(json.load(sys.stdin)), sys.stdout)
