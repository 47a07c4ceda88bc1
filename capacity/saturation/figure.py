"""Figures of capacity: the steps with their gates, the objective, and capacity as a distribution."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from capacity.display.figures import (
    BLUE,
    GREEN,
    GREY,
    INK,
    PURPLE,
    VERMILION,
    Chart,
    draw_band,
    label_line,
    new_figure,
    number_axis,
)
from capacity.display.numbers import format_qps
from capacity.loadtest.figure import draw_all_answered, latency_axis, scatter_verdicts
from capacity.saturation.curve_figure import compare, compared

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from capacity.saturation.result import Curves

_EVIDENCE = {"measured": BLUE, "bounded": PURPLE, "production": GREEN, "sla": GREY}
_MOST_BARS = 40


def saturation(curves: Curves, service: str) -> Chart:
    """Draw one service: throughput and latency against load, curves compared, capacity as a distribution."""
    points = curves.points[curves.points["service"] == service]
    samples = curves.instance_capacity_qps.sel(service=service).to_numpy()
    fit = curves.fits.get(service)
    closed = len(points) > 0 and not points["is_open"].astype(bool).any()
    apart = fit is not None and not closed
    per = "in all" if service in curves.fixed_qps else "per instance"
    if not len(points):
        # Without a test there is no curve to show, only what is known all the same.
        figure = new_figure(5.0, 3.2)
        panels = [figure.subplots()]
    else:
        figure = new_figure(9.0, 6.6) if apart else new_figure(11.0, 3.6)
        panels = list(figure.subplots(2, 2).flat if apart else figure.subplots(1, 3))
        _throughput(panels[0], points)
        if fit is not None:
            compare(panels[2] if apart else panels[0], fit)
        _latency(panels[1], curves, service, points)
    said = _distribution(panels[-1], curves, service, samples, per=per)
    title = f"{service}: {said} {per}, {curves.evidence[service]}"
    units = {"achieved_qps": "requests/s", "p95_ms": "ms", "p99_ms": "ms"}
    frame = points.drop(columns="service").reset_index(drop=True)
    if not len(points):
        alt = f"Panel for {service}, of which there is no load test: capacity {per} as a distribution: {said}."
        return Chart(figure, title, alt, frame, units)
    troubled = int((points["verdict"] != "ok").sum())
    alt = (
        f"Panels for {service}: throughput against load at {len(points)} steps ({troubled} with a gate against them), "
        f"latency against load with the objective's line, {compared(fit)}capacity per instance as a distribution: "
        f"{said}."
    )
    return Chart(figure, title, alt, frame, units)


def _throughput(axes: Axes, points: pd.DataFrame) -> None:
    axes.set_ylabel("requests/s per instance")
    axes.set_xlabel(_load_name(points))
    number_axis(axes.yaxis)
    number_axis(axes.xaxis)
    scatter_verdicts(axes, points, "achieved_qps")
    draw_all_answered(axes, points)
    axes.set_ylim(bottom=0)


def _latency(axes: Axes, curves: Curves, service: str, points: pd.DataFrame) -> None:
    axes.set_xlabel(_load_name(points))
    axes.set_ylabel("latency, ms")
    limits = curves.limits.get(service, {})
    part = "p95_ms" if "p95_ms" in limits or "p99_ms" not in limits else "p99_ms"
    shown = points.dropna(subset=[part])
    scatter_verdicts(axes, shown, part, legend=False)
    if not len(shown):
        axes.text(0.5, 0.5, "no latency recorded", transform=axes.transAxes, ha="center", color=GREY)
        return
    number_axis(axes.xaxis)
    axes.set_title(part.removesuffix("_ms"), fontsize=9, color=INK)
    if part in limits:
        axes.axhline(limits[part], color=VERMILION, linewidth=1.0, linestyle="--")
        # Above the line, unless nothing is above it: what is outside of the axes is not drawn.
        side, align = (-3, "top") if limits[part] > shown[part].max() else (3, "bottom")
        axes.annotate(
            f"objective {limits[part]:g} ms", (0.02, limits[part]), xycoords=("axes fraction", "data"),
            xytext=(0, side), textcoords="offset points", va=align, color=VERMILION,
        )  # fmt: skip
    latency_axis(axes)


def _distribution(axes: Axes, curves: Curves, service: str, samples: np.ndarray, *, per: str) -> str:
    axes.set_xlabel(f"capacity, requests/s {per}")
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    if np.isnan(samples).all():
        axes.text(0.5, 0.5, "nothing is known", transform=axes.transAxes, ha="center", color=GREY)
        return "unknown"
    low, mid, high = np.quantile(samples, [0.05, 0.5, 0.95])
    color = _EVIDENCE[curves.evidence[service]]
    if high > low * (1 + 1e-9):
        axes.hist(samples, bins=40, color=color, alpha=0.45, linewidth=0, histtype="stepfilled")
    axes.axvline(mid, color=color, label="median")
    top = axes.get_ylim()[1]
    axes.set_ylim(top=1.25 * top)  # room for the legend
    if high > low:
        draw_band(axes, [low, high], [0, 0], [top, top], coverage=0.9, color=color)
    number_axis(axes.xaxis)
    bound = curves.lower_bound_qps.get(service, 0.0)
    if 0 < bound < low * 1.2 and curves.evidence[service] != "sla":
        axes.axvline(bound, color=GREEN, linestyle=":", linewidth=1.2)
        label_line(axes, bound, top * 0.9, "held", color=GREEN, side="left")
    axes.legend(fontsize=8, loc="upper right")
    return f"{format_qps(float(low))} to {format_qps(float(high))}"


def _load_name(points: pd.DataFrame) -> str:
    is_open = points["is_open"].astype(bool)
    if len(points) and is_open.all():
        return "offered/s per instance"
    return "users per instance" if not is_open.any() else "offered/s or users per instance"


def overview(curves: Curves) -> Chart:
    """Draw every service's capacity per instance with its 90 % interval, coloured by evidence."""
    frame = curves.to_frame().dropna(subset=["q50"]).sort_values("q50", ascending=False)
    shown = frame.head(_MOST_BARS).iloc[::-1]
    figure = new_figure(8.0, 1.4 + 0.24 * max(len(shown), 1))
    axes = figure.subplots()
    for kind, color in _EVIDENCE.items():
        rows = [i for i, e in enumerate(shown["evidence"]) if e == kind]
        if rows:
            some = shown.iloc[rows]
            reach = [some["q50"] - some["q05"], some["q95"] - some["q50"]]
            axes.errorbar(some["q50"], rows, xerr=reach, fmt="o", color=color, label=kind, markersize=4, linewidth=1.4)
    axes.set_yticks(range(len(shown)), list(shown["service"]))
    axes.set_xscale("log" if len(shown) and (shown["q05"] > 0).all() else "linear")
    axes.set_xlabel("capacity at the objective, requests/s per instance (90 % interval)")
    number_axis(axes.xaxis)
    if len(shown):
        axes.legend(fontsize=8, loc="lower right")
    unknown = sum(kind == "none" for kind in curves.evidence.values())
    more = f", the {_MOST_BARS} largest of {len(frame)} drawn" if len(frame) > _MOST_BARS else ""
    alt = f"Capacity per instance of {len(frame)} services with 90 % intervals{more}; {unknown} services unknown."
    return Chart(figure, f"What one instance can take: {curves.summary()}", alt, frame.reset_index(drop=True))
