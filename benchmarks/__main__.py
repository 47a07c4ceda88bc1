"""Run benchmarks by name: companies, online_retail, forecast (beside peers, half an hour; by name only)."""

import argparse
from pathlib import Path

from benchmarks import companies, forecast, online_retail
from benchmarks.peers.ask import PEERS, PEERS_PYTHON


def main() -> None:
    """Run the benchmark that was named, or all, and print its tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="companies, online_retail, forecast; all but forecast without a name"
    )
    parser.add_argument("--companies", type=int, default=40, help="how many simulated companies")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--real-data", type=Path, default=Path("../shared/data"), help="folder of the real data")
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS), help="of forecast: beside whom")
    parser.add_argument("--peers-python", type=Path, default=PEERS_PYTHON, help="Python of the peers' environment")
    parser.add_argument("--parts", nargs="*", choices=forecast.PARTS, default=list(forecast.PARTS), help="of forecast")
    parser.add_argument(
        "--large",
        nargs="?",
        type=int,
        const=100_000,
        default=0,
        metavar="SERIES",
        help="of forecast: also so many series (100,000) in blocks from Parquet",
    )
    chosen = parser.parse_args()
    names = chosen.names or ["companies", "online_retail"]
    if "companies" in names:
        print(companies.run(chosen.companies, chosen.jobs))
    if "online_retail" in names:
        print(online_retail.run(chosen.real_data))
    if "forecast" in names:
        python, data = chosen.peers_python, chosen.real_data
        print(forecast.run(data, python, peers=chosen.peers, parts=chosen.parts, large_series=chosen.large))


if __name__ == "__main__":
    main()
