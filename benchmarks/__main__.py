"""Run benchmarks by name: companies, online_retail, intraday; by name only the others."""

import argparse
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

from benchmarks import (
    access_logs,
    companies,
    curves,
    forecast,
    intraday,
    limiters,
    online_retail,
    plans,
    readers,
    rehearsals,
    report_runs,
    tested_services,
    tracking,
)
from benchmarks.peers.ask import PEERS, PEERS_PYTHON
from benchmarks.peers.companies import forecast_companies
from benchmarks.saturation import coverage


def _companies(chosen: argparse.Namespace, family: str, peers: companies.Peers | None) -> str:
    return companies.run(
        chosen.companies, chosen.jobs, chosen.first_seed, family=family, peers=peers, futures=chosen.futures
    )


def main() -> None:
    """Run the benchmark that was named, or all, and print its tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help=f"{', '.join(RUNS)}; {', '.join(DEFAULT)} when left out",
    )
    parser.add_argument("--companies", type=int, default=50, help="how many simulated companies of each family")
    parser.add_argument("--family", choices=[*companies.FAMILIES], help="which family of companies; both without it")
    parser.add_argument("--first-seed", type=int, help="seed of the first company; the family's own without it")
    parser.add_argument("--futures", type=int, default=companies.FUTURES, help="of companies: futures a company, known")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--real-data", type=Path, default=Path("../shared/data"), help="folder of the real data")
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS), help="of forecast: beside whom")
    parser.add_argument("--peers-python", type=Path, default=PEERS_PYTHON, help="Python of the peers' environment")
    parser.add_argument(
        "--planner-python",
        type=Path,
        default=plans.PLANNER_PYTHON,
        help="Python of Netflix's planner",
    )
    parser.add_argument("--parts", nargs="*", choices=forecast.PARTS, default=list(forecast.PARTS), help="of forecast")
    parser.add_argument(
        "--large",
        nargs="?",
        type=int,
        const=100_000,
        default=0,
        metavar="SERIES",
        help="of forecast: also so many series (100,000) in blocks from Parquet; of plan: 10,000 services too",
    )
    parser.add_argument("--megabytes", type=int, default=1000, help="of readers and accesslog: size of each file")
    parser.add_argument("--tests", type=int, default=500, help="of saturation: how many simulated load tests")
    parser.add_argument("--services", type=int, default=10_000, help="of curves: how many services")
    chosen = parser.parse_args()
    for name, run in RUNS.items():
        if name in (chosen.names or DEFAULT):
            for table in run(chosen):
                print(table)


def _run_companies(chosen: argparse.Namespace) -> Iterator[str]:
    python = chosen.peers_python
    peers = partial(forecast_companies, python=python) if python.exists() else None
    for family in [chosen.family] if chosen.family else companies.FAMILIES:
        yield _companies(chosen, family, peers)


def _run_curves(chosen: argparse.Namespace) -> Iterator[str]:
    yield curves.run(count=chosen.services)
    yield tested_services.run(count=chosen.services)


def _run_forecast(chosen: argparse.Namespace) -> Iterator[str]:
    python, data = chosen.peers_python, chosen.real_data
    yield forecast.run(data, python, peers=chosen.peers, parts=chosen.parts, large_series=chosen.large)


def _run_saturation(chosen: argparse.Namespace) -> Iterator[str]:
    yield coverage.run(chosen.tests, seed=coverage.SEED if chosen.first_seed is None else chosen.first_seed)


DEFAULT = ("companies", "online_retail", "intraday")
RUNS: dict[str, Callable[[argparse.Namespace], Iterable[str]]] = {
    "reports": lambda _: [report_runs.run()],
    "tracking": lambda chosen: [tracking.run(chosen.companies, chosen.jobs, chosen.first_seed)],
    "limiters": lambda _: [limiters.run()],
    "accesslog": lambda chosen: [access_logs.run(chosen.megabytes)],
    "companies": _run_companies,
    "online_retail": lambda chosen: [online_retail.run(chosen.real_data)],
    "intraday": lambda chosen: [intraday.run(chosen.real_data)],
    "readers": lambda chosen: [readers.run(chosen.real_data, megabytes=chosen.megabytes)],
    "curves": _run_curves,
    "forecast": _run_forecast,
    "rehearsal": lambda _chosen: [rehearsals.run()],
    "plan": lambda chosen: [plans.run(large=bool(chosen.large), planner_python=chosen.planner_python)],
    "saturation": _run_saturation,
}


if __name__ == "__main__":
    main()
