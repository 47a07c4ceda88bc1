"""Figures of planned load tests: when each runs, and how each raises the load."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from capacity.display.escape import plain
from capacity.display.figures import BLUE, GREEN, GREY, ORANGE, VERMILION, Chart, label_lines, new_figure, number_axis
from capacity.display.numbers import format_qps

if TYPE_CHECKING:
    from capacity.staircase.result import LoadTestPlan
    from capacity.staircase.staircase import Staircase

_MOST = 40


def draw_staircase(test: Staircase) -> Chart:
    """Draw the offered rate over time, with the target and what is known."""
    figure = new_figure(8.0, 3.6)
    axes = figure.subplots()
    edges = np.concatenate([[0.0], np.cumsum(test.seconds)]) / 60.0
    axes.stairs(test.offered_qps, edges, color=BLUE, linewidth=1.8)
    axes.set_xlabel("minutes")
    axes.set_ylabel("requests/s offered")
    number_axis(axes.yaxis)
    lines = [("target", test.target_qps, VERMILION), ("known to hold", test.known.low, GREEN)]
    labels: list[tuple[float, float, str, str]] = []
    lines.append(("end that was seen" if test.known.end_seen else "may hold", test.known.high, ORANGE))
    for name, value, color in lines:
        # A target far above what so few instances may take would flatten the steps.
        if value is not None and value <= 1.5 * test.offered_qps[-1]:
            axes.hlines(value, 0.0, edges[-1], color=color, linestyle="--", linewidth=1.0)
            labels.append((float(edges[-1]), float(value), f"{name}, {format_qps(float(value))}", color))
    axes.set_ylim(bottom=0)
    label_lines(axes, labels)
    alt = (
        f"Steps from {test.offered_qps[0]:.4g} to {test.offered_qps[-1]:.4g} requests/s over {edges[-1]:.0f} minutes; "
        f"the target is {test.target_qps:.4g}."
    )
    return Chart(figure, test.summary(), alt, test.to_frame(), test.units)


def draw_calendar(plan: LoadTestPlan) -> Chart:
    """Draw when each test runs and how far it goes, in order from the top; grey where no traffic tells when."""
    frame = plan.to_frame()
    shown = frame.dropna(subset=["starts_at"]).head(_MOST)
    figure = new_figure(8.0, 1.4 + 0.27 * max(len(shown), 1))
    axes = figure.subplots()
    zone = [test.window.starts_at.tzinfo for test in plan.tests if test.window is not None]
    if zone:
        axes.xaxis_date(tz=zone[0])
    for row, (_, test) in enumerate(shown.iterrows()):
        color = GREY if test["business"] is None or np.isnan(float(test["business"])) else BLUE
        axes.plot([test["starts_at"], test["ends_at"]], [row, row], color=color, linewidth=7, solid_capstyle="butt")
        label = f"{test['starts_at']:%a %H:%M}, to {format_qps(float(test['top_qps']))}"
        axes.annotate(label, (test["ends_at"], row), xytext=(6, 0), textcoords="offset points", va="center", fontsize=8)
    axes.set_yticks(np.arange(len(shown)), [plain(str(name)) for name in shown["service"]])
    axes.invert_yaxis()
    axes.margins(x=0.15)
    left = len(frame) - len(shown)
    more = f", {left} not drawn" if left else ""
    alt = f"Bars for {len(shown)} load tests in order, each at its window{more}; {plan.summary()}"
    return Chart(figure, f"{plan.summary()}{more}", alt, frame, plan.units)
