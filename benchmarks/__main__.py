"""Run benchmarks by name: companies, online_retail, intraday; by name only the others."""

import argparse
from functools import partial
from pathlib import Path

from benchmarks import companies, curves, forecast, intraday, online_retail, plans, readers, rehearsals, tested_services
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
        help="companies, online_retail, intraday (these by default), readers, curves, saturation, forecast, plan, rehearsal",
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
    parser.add_argument("--megabytes", type=int, default=1000, help="of readers: size of each file")
    parser.add_argument("--tests", type=int, default=500, help="of saturation: how many simulated load tests")
    parser.add_argument("--services", type=int, default=10_000, help="of curves: how many services")
    chosen = parser.parse_args()
    names = chosen.names or ["companies", "online_retail", "intraday"]
    if "companies" in names:
        python = chosen.peers_python
        peers = partial(forecast_companies, python=python) if python.exists() else None
        for family in [chosen.family] if chosen.family else companies.FAMILIES:
            print(_companies(chosen, family, peers))
    if "online_retail" in names:
        print(online_retail.run(chosen.real_data))
    if "intraday" in names:
        print(intraday.run(chosen.real_data))
    if "readers" in names:
        print(readers.run(chosen.real_data, megabytes=chosen.megabytes))
    if "curves" in names:
        print(curves.run(count=chosen.services))
        print(tested_services.run(count=chosen.services))
    if "forecast" in names:
        python, data = chosen.peers_python, chosen.real_data
        print(forecast.run(data, python, peers=chosen.peers, parts=chosen.parts, large_series=chosen.large))
    if "rehearsal" in names:
        print(rehearsals.run())
    if "plan" in names:
        print(plans.run(large=bool(chosen.large), planner_python=chosen.planner_python))
    if "saturation" in names:
        print(coverage.run(chosen.tests, seed=coverage.SEED if chosen.first_seed is None else chosen.first_seed))


if __name__ == "__main__":
    main()
