"""Figures of a run: throughput and latency against load, the gates marked on the steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import LogLocator, NullFormatter

from capacity.display.figures import (
    BLUE,
    GREY,
    INK,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
    Chart,
    label_line,
    new_figure,
    number_axis,
)
from capacity.display.numbers import format_number

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from capacity.loadtest.result import LoadTest

VERDICTS = {"ok": (BLUE, "o"), "flagged": (ORANGE, "^"), "bounded": (PURPLE, "s"), "excluded": (VERMILION, "x")}
_WORST_LAST = tuple(VERDICTS)
_MOST_LINES = 6
_TICKS = ((0.4, (1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0)), (0.9, (1.0, 1.5, 2.0, 3.0, 5.0, 7.0)),
          (2.2, (1.0, 2.0, 5.0)), (np.inf, (1.0,)))  # fmt: skip
_PERCENTILES = (("p50_ms", SKY), ("p95_ms", BLUE), ("p99_ms", PURPLE))


def load_test(test: LoadTest) -> Chart:
    """Draw a run in two panels: throughput against load with its gates, and latency against load."""
    points = _points(test)
    figure = new_figure(9.0, 3.6)
    left, right = figure.subplots(1, 2)
    left.set_xlabel(_load_name(points))
    left.set_ylabel("answered without error, requests/s")
    scatter_verdicts(left, points, "achieved_qps")
    _name_gates(left, points)
    number_axis(left.yaxis)
    draw_all_answered(left, points)
    if len(points):
        left.set_ylim(bottom=0)
    _latency(right, points)
    for axes in (left, right):
        number_axis(axes.xaxis)
    troubled = int((points["verdict"] != "ok").sum())
    alt = (
        f"Two panels for {test.run}: throughput against load at {len(points)} steps, {troubled} with a gate against "
        "them, and latency percentiles against load."
    )
    return Chart(
        figure, test.summary(), alt, points, {"achieved_qps": "requests/s"} | {p: "ms" for p, _ in _PERCENTILES}
    )


def _points(test: LoadTest) -> pd.DataFrame:
    steps = test.steps
    is_open = bool(np.isfinite(steps["offered_qps"]).sum() >= np.isfinite(steps["concurrency"]).sum())
    worst = dict.fromkeys(range(len(steps)), "ok")
    names: dict[int, list[str]] = {i: [] for i in range(len(steps))}
    for gate in test.gates:
        if gate.step is not None and gate.verdict in VERDICTS and gate.verdict != "ok":
            worst[gate.step] = max(worst[gate.step], gate.verdict, key=_WORST_LAST.index)
            names[gate.step].append(gate.name)
    frame = steps[["achieved_qps", "p50_ms", "p95_ms", "p99_ms"]].copy()
    frame.insert(0, "load", steps["offered_qps" if is_open else "concurrency"])
    frame["is_open"] = is_open
    frame["verdict"] = [worst[i] for i in range(len(steps))]
    frame["gates"] = [", ".join(dict.fromkeys(names[i])) for i in range(len(steps))]
    return frame.dropna(subset=["load"]).sort_values("load", ignore_index=True)


def _load_name(points: pd.DataFrame) -> str:
    return "offered, requests/s" if len(points) and points["is_open"].all() else "requests under way"


def scatter_verdicts(axes: Axes, points: pd.DataFrame, column: str, *, legend: bool = True) -> None:
    """Draw points by the worst verdict of a gate, if asked with a legend where any speaks against one."""
    for verdict, (color, marker) in VERDICTS.items():
        some = points[points["verdict"] == verdict]
        if len(some):
            axes.scatter(some["load"], some[column], color=color, marker=marker, s=22, zorder=3, label=verdict)
    if legend and len(points) and (points["verdict"] != "ok").any():
        axes.legend(fontsize=8, loc="best")


def draw_all_answered(axes: Axes, points: pd.DataFrame) -> None:
    """Draw where everything offered is answered: what lies below it was lost or late."""
    if len(points) and points["is_open"].astype(bool).all():
        most = float(points["load"].max())
        axes.plot([0.0, most], [0.0, most], color=GREY, linewidth=0.8, linestyle=":", zorder=1)
        label_line(axes, most, most, "all answered", color=GREY, side="left")


def _name_gates(axes: Axes, points: pd.DataFrame) -> None:
    """Say which gates speak against which loads, in the corner that a rising curve leaves free."""
    troubled = points[points["gates"] != ""]
    by_gates = troubled.groupby("gates", sort=False)["load"].agg(list)
    unit = "/s" if points["is_open"].all() else ""
    lines = [f"{_some(loads)}{unit}: {str(gates).replace('_', ' ')}" for gates, loads in by_gates.items()]
    shown = [*lines[:_MOST_LINES], *([f"and {len(lines) - _MOST_LINES} more"] if len(lines) > _MOST_LINES else [])]
    if shown:
        box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1.5}
        text = axes.text(0.99, 0.02, "\n".join(shown), transform=axes.transAxes, ha="right", va="bottom", bbox=box)
        text.set(fontsize=7, color=INK)


def _some(loads: list[float]) -> str:
    return ", ".join(format_number(v) for v in loads[:4]) + (", …" if len(loads) > 4 else "")


def latency_axis(axes: Axes) -> None:
    """Give latency a logarithmic axis with readable numbers, as many as its range needs."""
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    subs = next(subs for decades, subs in _TICKS if np.log10(high / low) <= decades)
    axes.yaxis.set_major_locator(LogLocator(subs=subs, numticks=20))
    axes.yaxis.set_minor_formatter(NullFormatter())
    number_axis(axes.yaxis)


def _latency(axes: Axes, points: pd.DataFrame) -> None:
    axes.set_xlabel(_load_name(points))
    axes.set_ylabel("latency, ms")
    drawn = False
    for part, color in _PERCENTILES:
        shown = points[points[part] > 0]
        if len(shown):
            drawn = True
            label = part.removesuffix("_ms")
            axes.plot(shown["load"], shown[part], color=color, marker="o", markersize=3.5, linewidth=1.2, label=label)
    if drawn:
        latency_axis(axes)
        axes.legend(fontsize=8, loc="best")
    else:
        axes.text(0.5, 0.5, "no latency recorded", transform=axes.transAxes, ha="center", color=GREY)
