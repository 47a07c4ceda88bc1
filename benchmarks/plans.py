"""How long a plan takes in one process and one thread, how much memory it needs, and how near the optimum it is."""

import resource
import time

from benchmarks.synthetic_shop import make_company
from capacity.plan import make_plan
from capacity.settings import Risk

SIZES = ((1_000, 5_000, 2_000, 20),)


def time_plan(n_services: int, n_edges: int, n_samples: int, entries: int, *, seed: int = 0) -> dict[str, float]:
    """Return wall and processor seconds of `make_plan`, the process's largest memory in GiB, and the certified gap."""
    catalog, peaks, curves = make_company(n_services, n_edges, n_samples, entries=entries, seed=seed)
    before = _peak_gib()
    wall, processor = time.perf_counter(), time.process_time()
    plan = make_plan(peaks, curves, services=catalog, risk=Risk())  # type: ignore[arg-type]
    spent = {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - processor}
    cost = plan.document["cost"]
    return {
        "services": n_services, "edges": len([c for s in catalog.values() for c in s.calls]), "samples": n_samples,
        **spent, "gib_before": before, "gib": _peak_gib(), "gap": cost.get("gap_fraction", float("nan")),
        "cost": cost["per_hour_peak"], "feasible": plan.feasible, "core": plan.document["core_overload_probability"],
    }  # fmt: skip


def _peak_gib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2


if __name__ == "__main__":
    print(time_plan(*SIZES[0]))
