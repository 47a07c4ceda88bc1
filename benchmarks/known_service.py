"""Bring real captures of one known service to run folders in the plain form.

The service: one process, 16 slots, plateau 147–148 requests/s, p95 past 300 ms at about 30 users, stable at 145
arrivals/s and not at 155. Captures by locust (every request), vegeta (every request) and wrk (text) lie in a data
folder outside the repository; this recipe computes X, R and N of each step from them and writes ``run.yaml`` and
``steps.csv``.

    python benchmarks/known_service.py CAPTURES WORKSPACE/data/loadtests
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pandas as pd

COLUMNS = [
    "offered_qps",
    "achieved_qps",
    "concurrency",
    "mean_ms",
    "p50_ms",
    "p95_ms",
    "p99_ms",
    "error_fraction",
    "seconds",
]
USERS = (1, 2, 4, 8, 12, 16, 24, 32, 48, 64)
STEP_S = 20.0
WARM_UP_S = 3.0
STARTED_AT = {"locust": "2026-11-23T16:27+00:00", "vegeta": "2026-11-23T16:29+00:00", "wrk": "2026-11-23T16:40+00:00"}


def locust_steps(captures: Path) -> pd.DataFrame:
    """Ten closed steps of 20 s from every request: counted by its end, warm-up and the last half second left out."""
    requests = pd.read_csv(
        captures / "locust" / "requests.csv.gz", usecols=["start_time", "response_time_ms", "exception"]
    )
    end = requests["start_time"] + requests["response_time_ms"] / 1e3
    first = requests["start_time"].min()
    rows = []
    for k, users in enumerate(USERS):
        begins, ends = first + STEP_S * k + WARM_UP_S, first + STEP_S * (k + 1) - 0.5
        some = requests[(end >= begins) & (end < ends)]
        rows.append(
            {"concurrency": users, **_figures(some["response_time_ms"], some["exception"].notna(), ends - begins)}
        )
    return pd.DataFrame(rows).reindex(columns=COLUMNS)


def vegeta_steps(captures: Path) -> pd.DataFrame:
    """Ten open steps of 15 s, named by their rate; counted where they ended, the first two seconds left out."""
    names = ["time_ns", "code", "latency_ns", "step"]
    requests = pd.read_csv(captures / "vegeta" / "steps.csv.gz", header=None, usecols=[0, 1, 2, 7], names=names)
    rows = []
    for step, some in requests.groupby("step"):
        start = some["time_ns"] / 1e9
        end = start + some["latency_ns"] / 1e9
        begins, ends = start.min() + 2.0, start.max()
        # Offered counts by start, achieved by end: under overload the two part.
        inside = some[(end >= begins) & (end < ends)]
        figures = _figures(inside["latency_ns"] / 1e6, inside["code"] != 200, ends - begins)
        rows.append({"offered_qps": float(str(step).removeprefix("r")), **figures})
    return pd.DataFrame(rows).reindex(columns=COLUMNS).sort_values("offered_qps", ignore_index=True)


def wrk_steps(captures: Path) -> pd.DataFrame:
    """Ten closed steps from wrk's text; it reports p50, p75, p90 and p99, and no p95."""
    rows = [_wrk_step(path.read_text()) for path in (captures / "wrk").glob("wrk_c*.txt")]
    return pd.DataFrame(rows).reindex(columns=COLUMNS).sort_values("concurrency", ignore_index=True)


def _wrk_step(text: str) -> dict[str, float]:
    def number(pattern: str) -> float:
        found = re.search(pattern, text)
        if found is None:
            raise ValueError(f"wrk output without {pattern!r}")
        return float(found[1])

    return {
        "concurrency": number(r"and (\d+) connections"),
        "achieved_qps": number(r"Requests/sec:\s+([\d.]+)"),
        "mean_ms": number(r"Latency\s+([\d.]+)ms"),
        "p50_ms": number(r"50%\s+([\d.]+)ms"),
        "p99_ms": number(r"99%\s+([\d.]+)ms"),
        "error_fraction": 0.0,
        "seconds": number(r"requests in ([\d.]+)s"),
    }


def _figures(latency_ms: pd.Series, failed: pd.Series, seconds: float) -> dict[str, float]:
    p50, p95, p99 = np.percentile(latency_ms, [50, 95, 99])
    return {
        "achieved_qps": len(latency_ms) / seconds,
        "mean_ms": float(latency_ms.mean()),
        "p50_ms": float(p50),
        "p95_ms": float(p95),
        "p99_ms": float(p99),
        "error_fraction": float(failed.mean()),
        "seconds": float(seconds),
    }


READ: dict[str, Callable[[Path], pd.DataFrame]] = {"locust": locust_steps, "vegeta": vegeta_steps, "wrk": wrk_steps}


def write_runs(
    captures: Path, target: Path, *, tools: Iterable[str] = tuple(READ), service: str = "work"
) -> list[Path]:
    """Write one run folder a tool, ready for ``tool: csv``.

    Parameters
    ----------
    captures
        The folder that holds ``locust``, ``vegeta`` and ``wrk``.
    target
        Where run folders are made: a workspace's ``data/loadtests``.
    tools
        Which captures to bring over.
    service
        The name the service has in the catalogue.
    """
    folders = []
    for tool in tools:
        folder = target / f"known-{tool}"
        folder.mkdir(parents=True, exist_ok=True)
        READ[tool](captures).round(6).to_csv(folder / "steps.csv", index=False)
        (folder / "run.yaml").write_text(
            f"# brought to the plain form from what {tool} wrote\n"
            f"service: {service}\nenvironment: production\ninstances: 1\ntool: csv\nfiles: [steps.csv]\n"
            f"started_at: {STARTED_AT[tool]}\n"
        )
        folders.append(folder)
    return folders


if __name__ == "__main__":
    for made in write_runs(Path(sys.argv[1]), Path(sys.argv[2])):
        print(made)
