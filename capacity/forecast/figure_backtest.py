"""The backtest's figure: coverage by days ahead, error beside the rules, each past promotion."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from capacity.display.figures import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PURPLE,
    VERMILION,
    Chart,
    new_figure,
    percent_axis,
)
from capacity.forecast.scores import COVERAGES, FORECAST, PROMOTIONS, by_chance, common_errors
from capacity.forecast.verdicts import NAMES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from capacity.forecast.backtest import Backtest

_MOST_PROMOTIONS = 16
_COLORS = {80: GREEN, 90: BLUE, 95: PURPLE}
_LINES = {FORECAST: BLUE, "seasonal_naive": GREY, "last_year_times_growth": ORANGE}
_ASIDE = {80: -0.2, 90: 0.0, 95: 0.2}
_TICKS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)


def draw_backtest(result: "Backtest") -> Chart:
    """Draw, for users and for orders, what intervals held, how far off forecasts were, and each past promotion."""
    figure = new_figure(11, 7.5)
    grid = figure.subplots(2, 3, width_ratios=[1.1, 1, 1.2], squeeze=False)
    table = result.to_frame()
    table = table[(table["days_ahead"] != "all") | (table["days"] == "event")]
    table = table[(table["days"] == "ordinary") | (table["days_ahead"] == "all")]
    table = table.assign(group=table["days_ahead"].where(table["days"] == "ordinary", PROMOTIONS))
    errors = common_errors(result.forecasts, tuple(_LINES))
    rows: list[dict[str, Any]] = []
    for (held, error, events), metric in zip(grid, ("dau", "dat"), strict=True):
        rows += _coverage(held, table[table["metric"] == metric], metric)
        rows += _error(error, errors[errors["metric"] == metric], metric)
        rows += _events(events, result.events[result.events["metric"] == metric], metric)
    grid[0, 0].legend(loc="lower left", fontsize=8)
    grid[0, 1].legend(loc="upper left", fontsize=8)
    heads = ("held by the intervals, by days ahead", "error over actual, by days ahead", "largest days ÷ what came")
    for axes, head in zip(grid[0], heads, strict=True):
        axes.set_title(head, fontsize=9, loc="left")
    return Chart(figure, _title(result), _alt(result), pd.DataFrame(rows))


def _coverage(axes: "Axes", part: pd.DataFrame, metric: str) -> list[dict[str, Any]]:
    """Share of days that each interval held, beside what true ones hold nine times in ten."""
    own = part[part["method"] == FORECAST].to_dict(orient="records")
    rows: list[dict[str, Any]] = []
    for percent in COVERAGES:
        axes.axhline(percent / 100, color=_COLORS[percent], linewidth=0.8, linestyle=":")
        for place, row in enumerate(own):
            at = place + _ASIDE[percent]
            low, high = by_chance(percent / 100, int(row["clusters"]))
            axes.plot([at, at], [low, high], color=_COLORS[percent], alpha=0.25, linewidth=5, solid_capstyle="butt")
            share = row[f"coverage_{percent}"]
            axes.plot([at], [share], "o", color=_COLORS[percent], markersize=5, label="" if place else f"{percent} %")
            head = {"panel": "coverage", "metric": metric, "group": row["group"], "series": f"{percent} %"}
            rows.append(head | {"value": share, "low": low, "high": high})
    axes.set_xticks(range(len(own)), [str(row["group"]) for row in own], fontsize=8)
    axes.set_ylim(min([0.45, *(row["value"] - 0.03 for row in rows)]), 1.03)
    percent_axis(axes.yaxis)
    axes.set_ylabel(metric.upper())
    axes.set_xlabel("●: held; bar: where true intervals lie", fontsize=9)
    return rows


def _error(axes: "Axes", part: pd.DataFrame, metric: str) -> list[dict[str, Any]]:
    """Errors on the days on which all methods have a forecast, on a log scale: rules miss promotions by far."""
    groups = list(dict.fromkeys(part["group"]))
    rows: list[dict[str, Any]] = []
    for method, color in _LINES.items():
        own = part[part["method"] == method].set_index("group")["wape"].reindex(groups)
        ordinary = [place for place, name in enumerate(groups) if name != PROMOTIONS]
        name = NAMES.get(method, method)
        axes.plot(ordinary, own.iloc[ordinary], marker="o", markersize=4, color=color, label=name)
        for place, group in enumerate(groups):
            if group == PROMOTIONS:
                axes.plot([place], [own.iloc[place]], marker="D", markersize=6, color=color)
            rows.append({"panel": "error", "metric": metric, "group": group, "series": name, "value": own.iloc[place]})
    axes.set_xticks(range(len(groups)), groups, fontsize=8)
    axes.set_yscale("log")
    axes.set_yticks(_TICKS)
    axes.minorticks_off()
    percent_axis(axes.yaxis)
    errors = part["wape"].to_numpy(dtype=float)
    errors = errors[errors > 0]
    axes.set_ylim(0.8 * float(np.min(errors, initial=0.1)), 1.8 * float(np.max(errors, initial=0.1)))
    axes.set_xlabel("on days that all of them forecast", fontsize=9)
    return rows


def _events(axes: "Axes", part: pd.DataFrame, metric: str) -> list[dict[str, Any]]:
    """Each promotion's largest day as multiples of what came, the newest on top."""
    shown = part.sort_values("as_of", kind="stable").tail(_MOST_PROMOTIONS).to_dict(orient="records")
    rows: list[dict[str, Any]] = []
    for place, row in enumerate(shown):
        actual = row["actual"]
        color = BLUE if row["inside_90"] else VERMILION
        band = [row["q05"] / actual, row["q95"] / actual]
        axes.plot(band, [place, place], color=color, alpha=0.4, linewidth=6, solid_capstyle="butt")
        axes.plot([row["q50"] / actual], [place], marker="|", color=color, markersize=9)
        axes.plot([row["last_year_times_growth"] / actual], [place], marker="D", color=ORANGE, markersize=4)
        head = {"panel": "promotions", "metric": metric, "group": row["promotion"]}
        rows.append(head | {"series": FORECAST, "value": row["q50"] / actual, "low": band[0], "high": band[1]})
        rows.append(head | {"series": NAMES["last_year_times_growth"], "value": row["last_year_times_growth"] / actual})
    axes.axvline(1.0, color=INK, linewidth=1)
    axes.set_yticks(range(len(shown)), [str(row["promotion"]) for row in shown], fontsize=8)
    axes.set_xlim(left=0)
    axes.set_xlabel("bar: 90 % interval   ◆: last year times growth", fontsize=9)
    return rows


def _title(result: "Backtest") -> str:
    return (
        f"{result.forecasts['as_of'].nunique()} past forecasts: what the intervals held, error beside the rules, and "
        "each promotion three weeks ahead"
    )


def _alt(result: "Backtest") -> str:
    return (
        "Dots of coverage by days ahead beside the nominal 80, 90 and 95 %; lines of error for the forecast and two "
        f"rules; a bar a past promotion of its 90 % interval over what came. {result.summary()}."
    )
