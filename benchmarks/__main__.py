"""Run benchmarks by name: companies, online_retail."""

import argparse
from pathlib import Path

from benchmarks import companies, online_retail


def main() -> None:
    """Run the benchmark that was named, or all, and print its tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="companies, online_retail; all without a name")
    parser.add_argument("--companies", type=int, default=50, help="how many simulated companies of each family")
    parser.add_argument("--family", choices=[*companies.FAMILIES], help="which family of companies; both without it")
    parser.add_argument("--first-seed", type=int, help="seed of the first company; the family's own without it")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--real-data", type=Path, default=Path("../shared/data"), help="folder of the real data")
    chosen = parser.parse_args()
    names = chosen.names or ["companies", "online_retail"]
    if "companies" in names:
        for family in [chosen.family] if chosen.family else companies.FAMILIES:
            print(companies.run(chosen.companies, chosen.jobs, chosen.first_seed, family=family))
    if "online_retail" in names:
        print(online_retail.run(chosen.real_data))


if __name__ == "__main__":
    main()
