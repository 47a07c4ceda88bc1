"""The frontier's picture: what a smaller chance of an overload costs, and what more orders a second do."""

from typing import TYPE_CHECKING, Any

import numpy as np

from capacity.display.figures import BLUE, GREY, VERMILION, Chart, new_figure
from capacity.display.numbers import format_number, format_percent

if TYPE_CHECKING:
    from capacity.plan.frontier import Frontier


def draw_frontier(frontier: "Frontier") -> Chart:
    """Draw cost against risk on the left, against orders a second on the right, the plan's own point in both."""
    figure = new_figure(9.0, 3.8)
    left, right = figure.subplots(1, 2, sharey=True)
    _against_risk(left, frontier)
    _against_orders(right, frontier)
    top = max((row["cost_per_hour"] for row in (*frontier.by_risk, *frontier.by_admitted_tps)), default=1.0)
    left.set_ylim(0.0, 1.08 * max(top, frontier.planned_cost, 1e-9))
    left.set_ylabel(f"{frontier.currency} an hour at the peak")
    return Chart(
        figure=figure,
        title=f"What safety and orders cost: {frontier.summary()}",
        alt=_alt(frontier),
        frame=frontier.to_frame(),
    )


def _against_risk(axes: Any, frontier: "Frontier") -> None:
    axes.set_title("chance that some core service is overloaded", loc="left", fontsize=9, color=GREY)
    axes.set_xscale("log")
    axes.invert_xaxis()
    at = np.array([row["overload_probability"] for row in frontier.by_risk])
    axes.plot(at, [row["cost_per_hour"] for row in frontier.by_risk], "o-", color=BLUE, markersize=4)
    axes.set_xticks(at, [format_percent(p) for p in at], fontsize=8)
    axes.minorticks_off()
    _own_point(axes, frontier.planned_risk if len(at) else None, frontier.planned_cost)


def _against_orders(axes: Any, frontier: "Frontier") -> None:
    axes.set_title("orders a second that fit", loc="left", fontsize=9, color=GREY)
    at = [row["admitted_tps"] for row in frontier.by_admitted_tps]
    axes.plot(at, [row["cost_per_hour"] for row in frontier.by_admitted_tps], "o-", color=BLUE, markersize=4)
    axes.set_xlim(left=0.0)
    axes.xaxis.set_major_formatter(lambda value, _: format_number(value))
    own = [r["cost_per_hour"] for r in frontier.by_admitted_tps if r["admitted_tps"] == frontier.carried_tps]
    _own_point(axes, frontier.carried_tps if own else None, own[0] if own else 0.0)
    if any("beyond" in reason for reason in frontier.why) and at:
        axes.axvline(at[-1], color=VERMILION, linewidth=1, linestyle=":")
        axes.annotate(
            "no instances help beyond", (at[-1], 0.0), xytext=(-4, 6), textcoords="offset points", rotation=90,
            ha="right", va="bottom", fontsize=8, color=VERMILION,
        )  # fmt: skip


def _own_point(axes: Any, at: float | None, cost: float) -> None:
    if at is None:
        return
    axes.plot([at], [cost], "o", color=VERMILION, markersize=8, markerfacecolor="none", markeredgewidth=2)
    axes.annotate(
        "this plan", (at, cost), xytext=(8, -14), textcoords="offset points", fontsize=9, color=VERMILION
    )  # fmt: skip


def _alt(frontier: "Frontier") -> str:
    parts = []
    if frontier.by_risk:
        first, last = frontier.by_risk[0], frontier.by_risk[-1]
        parts.append(
            f"Line of cost against the core overload probability, from {format_number(first['cost_per_hour'])} "
            f"{frontier.currency} an hour at {format_percent(first['overload_probability'])} to "
            f"{format_number(last['cost_per_hour'])} at {format_percent(last['overload_probability'])}"
        )
    if frontier.by_admitted_tps:
        first, last = frontier.by_admitted_tps[0], frontier.by_admitted_tps[-1]
        parts.append(
            f"Line of cost against orders a second, from {format_number(first['cost_per_hour'])} at "
            f"{format_number(first['admitted_tps'])} to {format_number(last['cost_per_hour'])} at "
            f"{format_number(last['admitted_tps'])}"
        )
    return ". ".join(parts) or "Nothing is known that could be drawn"
