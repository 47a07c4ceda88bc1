"""Run benchmarks by name: companies, online_retail, intraday."""

import argparse
from pathlib import Path

from benchmarks import companies, intraday, online_retail


def main() -> None:
    """Run the benchmark that was named, or all, and print its tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="companies, online_retail, intraday; all without a name"
    )
    parser.add_argument("--companies", type=int, default=40, help="how many simulated companies")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--real-data", type=Path, default=Path("../shared/data"), help="folder of the real data")
    chosen = parser.parse_args()
    names = chosen.names or ["companies", "online_retail", "intraday"]
    if "companies" in names:
        print(companies.run(chosen.companies, chosen.jobs))
    if "online_retail" in names:
        print(online_retail.run(chosen.real_data))
    if "intraday" in names:
        print(intraday.run(chosen.real_data))


if __name__ == "__main__":
    main()
