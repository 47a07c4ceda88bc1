"""A real online shop's Christmas season as a workspace, and how well it was forecast.

The recipe, from one row an invoice (``ordered_at, invoice, customer, country, lines, value``):

- invoices that begin with C are cancellations and are left out;
- DAT of a day: its invoices. DAU of a day: its distinct customers, an invoice without a customer
  counting as one of its own. Only buyers are known, so DAU is a floor of who came;
- traffic of the one service, ``shop``: invoices a minute, zero where a minute has none; the source's
  times are whole minutes, so there is no ``peak_qps``;
- days without any invoice inside the data (Saturdays, holidays) are closed days: zero, not missing;
- the last day ends at 12:50 and is left out: half a day is not a small day;
- two promotions of kind ``christmas``, from the second Monday of November on: of 2010's only the part after
  the data begin (1 December) is known;
- capacity: any load-test run of a single-process service in the plain form, put beside it by the caller.
"""

import tempfile
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

SETTINGS = """\
timezone = "Europe/London"
currency = "GBP"
country = "GB"
"""

PROMOTIONS = """\
- id: 2010-christmas
  kind: christmas
  starts_at: 2010-11-08T00:00
  ends_at: 2010-12-10T00:00
- id: 2011-christmas
  kind: christmas
  starts_at: 2011-11-07T00:00
  ends_at: 2011-12-09T00:00
  background: "The autumn ramp to Christmas; nothing is announced, the season itself is the promotion."
"""

SERVICES = """\
- name: shop
  tier: core
  owner: shop-team
  instances: 2
  zones: 2
  instance_cost: 0.1
  slo: {p95_ms: 300}
  counts_as: transaction
  entry: {per_dau: 0.0, per_dat: 1.0}
"""


def read_orders(orders_csv: Path) -> pd.DataFrame:
    """Read the invoices, cancellations left out, each with the buyer it counts for."""
    orders = pd.read_csv(orders_csv, dtype={"invoice": str, "customer": str}, parse_dates=["ordered_at"])
    last_day = orders["ordered_at"].max().normalize()
    orders = orders[~orders["invoice"].str.startswith("C") & (orders["ordered_at"] < last_day)]
    return orders.assign(buyer=orders["customer"].fillna("invoice " + orders["invoice"]))


def make_daily_activity(orders: pd.DataFrame) -> pd.DataFrame:
    """Count buyers and invoices a day; closed days are zero."""
    days = orders.assign(date=orders["ordered_at"].dt.normalize()).groupby("date")
    counts = days.agg(dau=("buyer", "nunique"), dat=("invoice", "nunique"))
    every_day = pd.date_range(counts.index.min(), counts.index.max(), freq="D", name="date")
    return counts.reindex(every_day, fill_value=0).reset_index()


def make_traffic(orders: pd.DataFrame) -> pd.DataFrame:
    """Count invoices a minute, from the first to the last whole day."""
    minutes = orders["ordered_at"].dt.floor("min").value_counts()
    first = orders["ordered_at"].min().normalize()
    last = orders["ordered_at"].max().normalize() + pd.Timedelta(days=1)
    grid = pd.date_range(first, last, freq="min", name="ts", inclusive="left")
    requests = minutes.reindex(grid, fill_value=0).to_numpy()
    # Local wall time, the offset written out: the hour that a clock change repeats would be ambiguous without it.
    stamps = grid.tz_localize("Europe/London", ambiguous=False, nonexistent="shift_forward")
    frame = pd.DataFrame({"ts": stamps, "service": "shop", "requests": requests})
    return frame.groupby(["ts", "service"], as_index=False)["requests"].sum()


def write_sources(orders_csv: Path, directory: Path) -> None:
    """Write the workspace's words and, under ``sources/``, the tables to ingest."""
    orders = read_orders(orders_csv)
    for name, text in {
        "capacity.toml": SETTINGS,
        "data/promotions.yaml": PROMOTIONS,
        "data/services.yaml": SERVICES,
    }.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    sources = directory / "sources"
    sources.mkdir(exist_ok=True)
    make_daily_activity(orders).to_csv(sources / "daily_activity.csv", index=False)
    make_traffic(orders).to_csv(sources / "traffic.csv.gz", index=False)


def write_load_tests(captures: Path, directory: Path) -> None:
    """Put the captures of the known service beside the shop, as tests of it that ran before the season."""
    from benchmarks.known_service import write_runs

    for folder in write_runs(captures, directory / "data" / "loadtests", service="shop"):
        run = folder / "run.yaml"
        lines = [line for line in run.read_text(encoding="utf-8").splitlines() if not line.startswith("started_at")]
        run.write_text("\n".join([*lines, "started_at: 2011-10-01T02:00+01:00", ""]), encoding="utf-8")


def run(real_data: Path) -> str:
    """Forecast the season of 2011 as of 15 October, and judge it by what came until 8 December."""
    if not real_data.is_dir():
        return f"online_retail: skipped, {real_data} is absent"
    import capacity as cap

    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        write_sources(real_data / "online_retail" / "orders.csv.gz", directory)
        write_load_tests(real_data / "loadtests", directory)
        after = cap.Workspace(directory)
        for table, name in (("daily_activity", "daily_activity.csv"), ("traffic", "traffic.csv.gz")):
            after.ingest(str(directory / "sources" / name), table=table)
        before = cap.Workspace(directory, as_of="2011-10-15")
        plan, rehearsal = cap.plan_promotion(before, "2011-christmas")
        before.save(plan, rehearsal)
        review = cap.review_promotion(cap.Workspace(directory), "2011-christmas")
        days = review.demand[review.demand["in_promotion"]]
        capacity = plan.curves.to_frame().to_string(index=False)
    rows = [
        {
            "metric": metric,
            "days": len(part),
            "wape": (part["actual"] - part["forecast_q50"]).abs().sum() / part["actual"].sum(),
            "bias": part["forecast_q50"].sum() / part["actual"].sum() - 1,
            "inside_90": part["inside_band"].astype(float).mean(),
            "median_q95_over_q05": np.nanmedian(part["forecast_q95"] / part["forecast_q05"].replace(0, np.nan)),
        }
        for metric, part in days.groupby("metric")
    ]
    table = pd.DataFrame(rows).to_string(index=False, float_format=lambda value: f"{value:.3f}")
    lines = ["Online shop, Christmas season of 2011 as of 2011-10-15", table, *review.verdict]
    return "\n".join([*lines, "Peaks", review.services.to_string(index=False), "Known service", capacity])
