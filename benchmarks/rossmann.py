"""A hundred real shops: 42 days ahead from three origins, and one Christmas from one earlier one.

The recipe: sales are the volume, shops the series. Promotions run in all shops on the same days and are known ahead, as
are each shop's closures. A day that was open and sold nothing is unknown. Extras: a method may also be told Germany's
public holidays (those of its states are not known by shop), and each shop's school holidays as events of kind
``school``.
"""

from pathlib import Path

import pandas as pd

from benchmarks.peers.panel import Panel

AHEAD = 42
ORIGINS = 3
CHRISTMAS = (pd.Timestamp("2014-12-15"), pd.Timestamp("2014-12-24"))
NOTHING: frozenset[str] = frozenset()
HOLIDAYS = frozenset({"holidays"})
BOTH = frozenset({"holidays", "school"})
QUANTILES = (0.025, 0.1, 0.5, 0.9, 0.975, 0.99)


def read_sales(real_data: Path) -> pd.DataFrame:
    """Read one row a shop and day: series, date, value, open, promo, school."""
    sales = pd.read_csv(
        real_data / "rossmann" / "sales_100stores.csv.gz",
        dtype={"store": str},
        parse_dates=["date"],
        usecols=["store", "date", "sales", "open", "promo", "schoolholiday"],
    )
    names = {"store": "series", "sales": "value", "schoolholiday": "school"}
    return sales.rename(columns=names).sort_values(["series", "date"], ignore_index=True)


def promotions(sales: pd.DataFrame) -> pd.DataFrame:
    """Return the promotions: runs of days on which shops had one."""
    return _runs(sales.loc[sales["promo"] == 1, "date"].drop_duplicates().sort_values()).assign(kind="promo")


def school_holidays(sales: pd.DataFrame) -> pd.DataFrame:
    """Return each shop's school holidays; weekends and closed days between two days of holidays belong to them."""
    parts = []
    for name, shop in sales[sales["school"] == 1].groupby("series"):
        parts.append(_runs(shop["date"].sort_values(), gap_days=3).assign(series=name))
    return pd.concat(parts, ignore_index=True).assign(kind="school")


def _runs(days: pd.Series, gap_days: int = 1) -> pd.DataFrame:
    run = (days.diff().dt.days > gap_days).cumsum()
    return days.groupby(run).agg(["min", "max"]).set_axis(["starts_on", "ends_on"], axis=1).reset_index(drop=True)


def words(extras: frozenset[str]) -> str:
    """Say what a method is told."""
    named = {"holidays": "Germany's public holidays", "school": "each shop's school holidays"}
    return ", ".join(["promotions, closures", *(named[name] for name in sorted(extras))])


def panel_as_of(
    sales: pd.DataFrame, last: pd.Timestamp, horizon: int, *, name: str, extras: frozenset[str] = NOTHING
) -> Panel:
    """Return the panel as it was known at the end of a day."""
    known = sales[((sales["open"] == 0) | (sales["value"] > 0)) & (sales["date"] <= last)]
    closed = sales.loc[sales["open"] == 0, ["date", "series"]]
    events = promotions(sales).assign(series=None)
    if "school" in extras:
        events = pd.concat([events, school_holidays(sales)], ignore_index=True)
    history = known[["date", "series", "value"]]
    return Panel(name, history, horizon, events, closed, holidays="DE" if "holidays" in extras else None)


def rolling_panels(sales: pd.DataFrame, *, extras: frozenset[str] = NOTHING) -> list[Panel]:
    """Return the panels of the three origins; the last 126 days are judged."""
    panels = []
    for k in range(ORIGINS, 0, -1):
        last = sales["date"].max() - pd.Timedelta(days=AHEAD * k)
        panels.append(panel_as_of(sales, last, AHEAD, name=f"{last:%Y-%m-%d}", extras=extras))
    return panels


def christmas_panel(sales: pd.DataFrame, *, extras: frozenset[str] = NOTHING) -> Panel:
    """Return the panel before Christmas week; shops that were shut or unknown then are left out."""
    last = CHRISTMAS[0] - pd.Timedelta(days=1)
    horizon = (CHRISTMAS[1] - last).days
    seen = sales.loc[sales["date"].between(*CHRISTMAS), "series"].unique()
    return panel_as_of(sales[sales["series"].isin(seen)], last, horizon, name="christmas", extras=extras)


def actuals(sales: pd.DataFrame) -> pd.DataFrame:
    """Return series, date, actual and open."""
    frame = sales.rename(columns={"value": "actual"})
    return frame.assign(open=(frame["open"] == 1))[["series", "date", "actual", "open"]]
