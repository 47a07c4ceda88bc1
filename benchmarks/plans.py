"""How long a plan takes in one process and one thread, how much memory it needs, and how near the optimum it is.

Every plan is made in a process of its own, so that the largest resident set is the plan's. Netflix's planner sizes one
service for the same demand; it chooses a kind of machine too, and knows no forecast, load test, limit or call graph, so
only times can be compared, and only roughly.
"""

import json
import os
import resource
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.synthetic_shop import make_company
from capacity.catalog import Catalog, Service
from capacity.plan import make_plan
from capacity.settings import Risk

ROOT = Path(__file__).resolve().parents[1]
PLANNER_PYTHON = ROOT / ".venv-netflix" / "bin" / "python"
SIZES = ((1_000, 5_000, 2_000, 20),)
LARGE = ((10_000, 50_000, 2_000, 100),)
_ONE_SERVICE = {"requests_per_second": [4300.0, 6000.0, 8400.0], "processor_ms": [10.0, 13.3, 16.0]}
_EACH_QPS = 300.0  # of one instance, ours: four processors at 13.3 ms a request
_THREADS = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def run(*, large: bool = False, planner_python: Path = PLANNER_PYTHON) -> str:
    """Return the tables as Markdown."""
    rows = [_in_own_process(size) for size in (*SIZES, *(LARGE if large else ()))]
    return f"{_sizes_table(rows)}\n\n{_beside_netflix(planner_python)}\n"


def time_plan(n_services: int, n_edges: int, n_samples: int, entries: int, *, seed: int = 0) -> dict[str, Any]:
    """Time `make_plan` on a synthetic company.

    Returns
    -------
    dict
        Wall and processor seconds, the largest resident set of this process before and after in GiB, and what the plan
        costs, its certified bound and probability.
    """
    catalog, peaks, curves = make_company(n_services, n_edges, n_samples, entries=entries, seed=seed)
    before = _peak_gib()
    wall, processor = time.perf_counter(), time.process_time()
    plan = make_plan(peaks, curves, services=catalog, risk=Risk())  # type: ignore[arg-type]
    spent = {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - processor}
    return {
        "services": n_services, "edges": sum(len(s.calls) for s in catalog.values()), "samples": n_samples,
        "entries": entries, **spent, "gib_before": before, "gib": _peak_gib(), "cost": plan.document["cost"],
        "core": plan.document["core_overload_probability"], "feasible": plan.feasible,
        "points": [len(plan.frontier.by_risk), len(plan.frontier.by_admitted_tps)],
    }  # fmt: skip


def _in_own_process(size: tuple[int, ...]) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.plans", json.dumps(size)]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | _THREADS, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


def _sizes_table(rows: list[dict[str, Any]]) -> str:
    columns = (
        "services", "calls", "entries", "futures", "wall s", "CPU s", "GiB at most (before)", "core overload",
        "certified gap", "of which for futures not seen",
    )  # fmt: skip
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for row in rows:
        cost = row["cost"]
        unseen = 100 * (cost["per_hour_peak"] - cost["per_hour_on_samples_alone"]) / cost["per_hour_bound"]
        lines.append(
            f"| {row['services']:,} | {row['edges']:,} | {row['entries']} | {row['samples']:,} | {row['wall_s']:.1f} | "
            f"{row['cpu_s']:.1f} | {row['gib']:.2f} ({row['gib_before']:.2f}) | {100 * row['core']:.1f} % | "
            f"{100 * cost['gap_fraction']:.2f} % | {unseen:.2f} % |"
        )
    return "\n".join(lines)


def time_one_service(*, n_samples: int = 2_000) -> dict[str, Any]:
    """Time ours on the service that Netflix's planner is asked about: the second run, as theirs."""
    low, mid, high = _ONE_SERVICE["requests_per_second"]
    _, peaks, curves = make_company(1, 0, n_samples, entries=1)
    terms = {"name": "service-00000", "tier": "core", "zones": 3, "instances": 10, "entry": {"per_dau": 1.0}}
    catalog = Catalog.from_services([Service.model_validate(terms)])
    curves = replace(curves, fixed_qps={}, evidence={"service-00000": "measured"})
    rng = np.random.default_rng(0)
    demand = mid * np.exp(np.log(high / low) / (2 * 1.645) * rng.standard_normal(n_samples))
    curves.instance_capacity_qps.values[:, 0] = _EACH_QPS * np.exp(0.06 * rng.standard_normal(n_samples))
    peaks.peak_qps.values[:] *= (demand / peaks.peak_qps.values.max(axis=(1, 2)))[:, None, None]
    spent = []
    for _ in range(2):
        wall, processor = time.perf_counter(), time.process_time()
        plan = make_plan(peaks, curves, services=catalog, risk=Risk())  # type: ignore[arg-type]
        spent.append({"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - processor})
    entry = plan.document["services"]["service-00000"]
    return {**spent[-1], "instances": entry["instances"], "each_qps": entry["instance_capacity_qps"]["q50"]}


def _beside_netflix(python: Path) -> str:
    ours = time_one_service()
    if not python.exists():
        return f"Netflix's planner was not run: its environment is absent ({python.name} of {python.parents[1].name})."
    command = [str(python), str(ROOT / "benchmarks" / "peers" / "netflix_planner.py")]
    done = subprocess.run(
        command, env=os.environ | _THREADS, input=json.dumps(_ONE_SERVICE), capture_output=True, text=True, check=True
    )
    theirs = json.loads(done.stdout)
    own = f"{ours['instances']} instances of {ours['each_qps']:.0f} requests/s, limits, schedule, frontier"
    other = f"{theirs['instances']} × {theirs['machine']}, {theirs['processors']} virtual processors"
    ratio = theirs["cpu_s"] / ours["cpu_s"]
    rows = [
        "| one service | wall s | CPU s | CPU ÷ ours | answer |",
        "|---|---|---|---|---|",
        f"| capacity | {ours['wall_s']:.3f} | {ours['cpu_s']:.3f} | 1 | {own} |",
        f"| service-capacity-modeling | {theirs['wall_s']:.2f} | {theirs['cpu_s']:.2f} | {ratio:.0f} | {other} |",
    ]
    return "\n".join(rows)


def _peak_gib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2


if __name__ == "__main__":
    json.dump(time_plan(*json.loads(sys.argv[1])), sys.stdout)
