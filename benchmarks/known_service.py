"""Bring real captures of one known service, by six tools, to run folders that the tools' own readers read.

The service: one process, 16 slots, plateau 147–148 requests/s, p95 past 300 ms at about 30 users, stable at 145
arrivals/s and not at 155. The captures lie in a data folder outside the repository.

    python benchmarks/known_service.py CAPTURES WORKSPACE/data/loadtests
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

from capacity.loadtest import discover
from capacity.loadtest.run import RUN_FILE

CAPTURES = {
    "locust": ("locust/steps_stats_history.csv",),
    "jmeter": ("jmeter/steps.jtl.gz",),
    "k6": ("k6_closed/closed.csv.gz",),
    "vegeta": ("vegeta/steps.csv.gz",),
    "wrk": tuple(f"wrk/wrk_c{users}.txt" for users in (1, 2, 4, 8, 12, 16, 24, 32, 48, 64)),
    "prometheus": tuple(f"prometheus/{name}.json" for name in ("count_raw", "rate", "inprogress", "mean", "p95")),
}
"""Files of each tool's run, below the captures."""


def write_runs(
    captures: Path, target: Path, *, tools: Iterable[str] = tuple(CAPTURES), service: str = "work"
) -> list[Path]:
    """Write one run folder a tool, as a person would: its files, and the drafted run.yaml completed.

    Parameters
    ----------
    captures
        The folder that holds ``locust``, ``jmeter``, ….
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
        for name in CAPTURES[tool]:
            shutil.copy(captures / name, folder)
        drafted = discover(folder).run_yaml(service=service, instances=1)
        (folder / RUN_FILE).write_text(drafted + "environment: production\n", encoding="utf-8")
        folders.append(folder)
    return folders


if __name__ == "__main__":
    for made in write_runs(Path(sys.argv[1]), Path(sys.argv[2])):
        print(made)
