"""Figures of a demand forecast: the fan ahead, and past promotions of the kind aligned on the start day."""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from capacity.display.figures import (
    BLUE,
    GREY,
    INK,
    ORANGE,
    VERMILION,
    Chart,
    draw_band,
    label_line,
    label_lines,
    new_figure,
    number_axis,
)
from capacity.display.numbers import format_number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from capacity.forecast.demand import Demand

Floats = npt.NDArray[np.float64]
_DAYS_BACK = 70
_AROUND = (-10, 5)  # days shown about the start of a past promotion


def draw_demand(demand: "Demand") -> Chart:
    """Draw DAU and DAT: the last weeks and the fan ahead, and beside it past promotions of the kind, aligned."""
    figure = new_figure(10, 6)
    grid = figure.subplots(2, 2, width_ratios=[2, 1])
    rows = []
    for (fan, aligned), (metric, label) in zip(grid, (("dau", "users a day"), ("dat", "orders a day")), strict=True):
        rows.append(_fan(fan, demand, metric, label))
        _aligned(aligned, demand, metric)
    frame = pd.concat(rows, ignore_index=True)
    grid[0, 0].legend(loc="upper left", fontsize=8)
    title = f"{demand.promotion.id}: daily users and orders, as of {demand.as_of}"
    return Chart(figure, title, _alt(demand), frame)


def _fan(axes: "Axes", demand: "Demand", metric: str, label: str) -> pd.DataFrame:
    total = demand.total_dau if metric == "dau" else demand.total_dat
    dates = pd.DatetimeIndex(total["date"].to_numpy())
    q05, q10, q50, q90, q95 = np.quantile(total.to_numpy(), [0.05, 0.1, 0.5, 0.9, 0.95], axis=0)
    past = demand.history.tail(_DAYS_BACK)
    axes.plot(past["date"], past[metric], color=INK, linewidth=1)
    draw_band(axes, dates, q05, q95, coverage=0.9)
    draw_band(axes, dates, q10, q90, coverage=0.8)
    axes.plot(dates, q50, color=BLUE)
    business = demand.business.opinions.get(metric) if demand.business is not None else None
    if business is not None:
        wanted = np.isin(dates.to_numpy(), np.array(demand.promotion.dates, dtype="datetime64[us]"))
        largest = dates[int(np.argmax(np.where(wanted, q50, -np.inf)))]
        day = (largest - pd.Timestamp(0)) / pd.Timedelta(days=1)  # matplotlib counts days from 1970
        given = business["business"]
        axes.vlines([day], [given.q05], [given.q95], color=ORANGE)
        axes.plot([day], [given.q50], color=ORANGE, marker="o", markersize=4)
        label_line(axes, day, given.q50, "business", color=ORANGE, side="left")
    axes.set_ylabel(label)
    axes.set_ylim(bottom=0)
    number_axis(axes.yaxis)
    axes.tick_params(axis="x", labelrotation=30)
    return pd.DataFrame({"date": dates, "metric": metric, "q05": q05, "q10": q10, "q50": q50, "q90": q90, "q95": q95})


def _aligned(axes: "Axes", demand: "Demand", metric: str) -> None:
    """Ratio to the level before each promotion, by days since it began."""
    history = demand.history.set_index("date")[metric]
    earlier = [past for past in demand.past if past.kind == demand.promotion.kind and past.id != demand.promotion.id]
    labels = [_one(axes, history, past.dates[0], past.id, GREY) for past in earlier]
    total = demand.total_dau if metric == "dau" else demand.total_dat
    ahead = pd.Series(np.quantile(total.to_numpy(), 0.5, axis=0), index=pd.DatetimeIndex(total["date"].to_numpy()))
    labels.append(_one(axes, pd.concat([history, ahead]), demand.promotion.dates[0], "forecast", VERMILION))
    label_lines(axes, [label for label in labels if label is not None])
    axes.set_xlabel("days since the start day")
    axes.set_ylabel("ratio to the fortnight before")


def _one(axes: "Axes", values: pd.Series, start: object, name: str, color: str) -> tuple[float, float, str, str] | None:
    """Draw one promotion; return where its name belongs."""
    day = pd.Timestamp(str(start))
    window = values.reindex(pd.date_range(day + pd.Timedelta(days=_AROUND[0]), day + pd.Timedelta(days=_AROUND[1])))
    before = values.reindex(pd.date_range(day - pd.Timedelta(days=21), day - pd.Timedelta(days=8))).median()
    ratio = (window / before).to_numpy(dtype=float)
    if np.isfinite(ratio).sum() < 3:
        return None
    offset = np.arange(_AROUND[0], _AROUND[1] + 1)
    axes.plot(offset, ratio, color=color, linewidth=1.2 if color == GREY else 1.8)
    peak = int(np.nanargmax(ratio))
    return float(offset[peak]), float(ratio[peak]), name, color


def _alt(demand: "Demand") -> str:
    days = [np.datetime64(day) for day in demand.promotion.dates]
    parts = []
    for name, total in (("DAU", demand.total_dau), ("DAT", demand.total_dat)):
        low, middle, high = (format_number(q) for q in np.quantile(total.sel(date=days).max("date"), [0.05, 0.5, 0.95]))
        parts.append(f"{name} {middle} ({low} to {high})")
    return (
        "Fan charts of daily users and orders with 80 % and 90 % intervals, and past promotions of the kind aligned on "
        f"the start day. Largest day: {', '.join(parts)}."
    )
