"""Figure of a fitted curve: the points, the curves that competed, and the interval of throughput."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from capacity.display.figures import (
    BLUE,
    GREEN,
    PURPLE,
    SKY,
    Chart,
    draw_band,
    label_lines,
    new_figure,
    number_axis,
)
from capacity.saturation.fit import CurveFit, fit_curve

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_CURVES = 3
_LEAST_WEIGHT = 0.02


def curve(fit: CurveFit) -> Chart:
    """Draw one fitted curve."""
    figure = new_figure(6.4, 4.0)
    axes = figure.subplots()
    compare(axes, fit)
    axes.set_xlabel("CPU fraction" if fit.family == "utilization" else "load")
    axes.set_ylabel("requests/s")
    names = ", ".join(f"{name} {weight:.0%}" for name, weight in rivals(fit))
    found = fit.predict_interval(fit.load[-1:], n=200).iloc[0]
    alt = (
        f"Scatter of throughput at {len(fit.load)} loads from {fit.load[0]:.4g} to {fit.load[-1]:.4g} with curves "
        f"({names}); at the heaviest load the 90 % interval is {found['low']:.4g} to {found['high']:.4g} requests/s."
    )
    return Chart(figure, fit.summary(), alt, fit.to_frame(), {"throughput": "requests/s", "fitted": "requests/s"})


def compared(fit: CurveFit | None) -> str:
    """Say which curves are drawn."""
    if fit is None:
        return ""
    return "curves compared (" + ", ".join(f"{name} {weight:.0%}" for name, weight in rivals(fit)) + "), "


def rivals(fit: CurveFit) -> list[tuple[str, float]]:
    """Families by their weight, the chosen one always among them."""
    ranked = sorted(fit.weights.items(), key=lambda item: (item[0] != fit.family, -item[1]))
    return [(n, w) for n, w in ranked if n == fit.family or w >= _LEAST_WEIGHT][:_MOST_CURVES]


def compare(axes: Axes, fit: CurveFit) -> None:
    """Draw the curves that competed over the points, and the 90 % interval of throughput."""
    axes.set_xlabel("requests under way per instance")
    axes.set_ylabel("requests/s per instance")
    number_axis(axes.yaxis)
    x = np.linspace(fit.load.min(), fit.load.max(), 120)
    found = fit.predict_interval(x, n=200)
    low, high = (found[end].to_numpy(dtype=float) for end in ("low", "high"))
    if np.isfinite(high).all() and len(np.unique(fit.load)) > 1:
        draw_band(axes, x, low, high, coverage=0.9, color=SKY)
    labels = []
    for (name, weight), color in zip(rivals(fit), (SKY, GREEN, PURPLE), strict=False):
        one = fit if name == fit.family else fit_curve(fit.load, fit.throughput, family=name)
        y = one.predict(x)
        axes.plot(x, y, color=color, linewidth=1.4 if one is fit else 1.0, linestyle="-" if one is fit else "--")
        labels.append((float(x[-1]), float(y[-1]), f"{name} {weight:.0%}", color))
    if not axes.collections or len(axes.collections) < 2:
        axes.scatter(fit.load, fit.throughput, color=BLUE, s=22, zorder=3)
    axes.set_ylim(bottom=0)
    label_lines(axes, labels)
