"""The call graph drawn: what each service gets in its worst second, and where it is too much."""

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from capacity.display.escape import plain
from capacity.display.figures import GREY, INK, Chart, new_figure
from capacity.display.numbers import format_number, format_percent, format_qps
from capacity.graph import downstream, upstream
from capacity.plan.evaluation.layout import place_services

if TYPE_CHECKING:
    import pandas as pd

    from capacity.plan.evaluation.evaluate import Evaluation

_MOST = 40
_WIDE, _HIGH = 2.3, 0.62  # of a box, in inches
_COLUMN, _ROW = 3.1, 0.86
# Light to dark with use, told apart in grey too; what is too much also carries a thick border and a sign.
_CALM, _BUSY, _FULL, _UNKNOWN = "#F2F6FA", "#FBE3B5", "#F2B08A", "#EEEEEE"


def draw_graph(evaluation: "Evaluation", name: str | None = None) -> Chart:
    """Draw the services whose worst second comes closest to what they take, with all that leads to them."""
    frame = _with_use(evaluation.table)
    shown = _chosen(evaluation, frame, name)
    part = frame[frame["service"].isin(shown)].reset_index(drop=True)
    names = list(part["service"])
    calls = [
        (names.index(caller), names.index(call.to), call)
        for caller in names
        for call in evaluation.services[caller].calls
        if call.to in shown
    ]
    place = place_services(len(names), [(i, j) for i, j, _ in calls])
    at = place * np.array([_COLUMN, _ROW])
    width = float(at[:, 0].max(initial=0.0)) + _WIDE + 0.4
    height = float(np.ptp(at[:, 1])) + _HIGH + 0.9 if len(at) else 2.0
    figure = new_figure(max(width, 6.0), max(height, 2.0))
    axes = figure.subplots()
    axes.set_axis_off()
    axes.set_aspect("equal")
    axes.set_xlim(-0.2, max(width, 6.0) - 0.2)
    middle = float((at[:, 1].max(initial=0.0) + at[:, 1].min(initial=0.0)) / 2)
    axes.set_ylim(middle - height / 2 - 0.1, middle + height / 2)
    for i, j, call in calls:
        _arrow(axes, at[i], at[j], dashed=not call.is_required)
    for row, spot in zip(part.itertuples(), at, strict=True):
        _box(axes, row, spot, chosen=row.service == name)
    key = "box: worst second in 1 of 20 futures and its share of what is taken today after the zone loss"
    axes.set_title(f"{key}; dashed: not required; ▲: too much", loc="left", fontsize=9, color=GREY)
    return Chart(
        figure=figure,
        title=_title(evaluation, frame, len(part), name),
        alt=_alt(part, name),
        frame=part[["service", "tier", "peak_q95", "takes_now", "use_now", "takes_planned", "use_planned", "verdict"]],
        units=dict(evaluation.units),
    )


def _with_use(table: "pd.DataFrame") -> "pd.DataFrame":
    peak = table["peak_q95"].astype(float)
    return table.assign(
        use_now=peak / table["takes_now"].astype(float), use_planned=peak / table["takes_planned"].astype(float)
    )


def _chosen(evaluation: "Evaluation", frame: "pd.DataFrame", name: str | None) -> set[str]:
    services = evaluation.services
    ranked = list(frame.sort_values("use_now", ascending=False, kind="stable")["service"])
    if name is not None:
        around = [n for n in ranked if n in {*upstream(services, name), *downstream(services, name)}]
        return {services[name].name, *around[: _MOST - 1]}
    if len(ranked) <= _MOST:
        return set(ranked)
    shown: set[str] = set()
    for service in ranked:
        whole = {service, *upstream(services, service)}
        if len(shown | whole) > _MOST:
            break
        shown |= whole
    return shown or set(ranked[:_MOST])


def _arrow(axes: Any, tail: Any, head: Any, *, dashed: bool) -> None:
    far = head[0] - tail[0] > 1.5 * _COLUMN
    axes.add_patch(
        FancyArrowPatch(
            (tail[0] + _WIDE, tail[1]), (head[0], head[1]), arrowstyle="-|>", mutation_scale=8, color=GREY,
            linewidth=0.9, linestyle="--" if dashed else "-", shrinkA=0, shrinkB=0, zorder=1,
            connectionstyle="arc3,rad=0.12" if far else "arc3,rad=0", alpha=0.8,
        )
    )  # fmt: skip


def _box(axes: Any, row: Any, spot: Any, *, chosen: bool) -> None:
    use = float(row.use_now) if row.use_now is not None else np.nan
    over = np.isfinite(use) and use > 1.0
    color = _UNKNOWN if not np.isfinite(use) else _FULL if over else _BUSY if use > 0.6 else _CALM
    axes.add_patch(
        FancyBboxPatch(
            (spot[0], spot[1] - _HIGH / 2), _WIDE, _HIGH, boxstyle="round,pad=0,rounding_size=0.06", facecolor=color,
            edgecolor=INK if over or chosen else GREY, linewidth=1.8 if over or chosen else 0.8,
            linestyle=":" if row.third_party else "-", zorder=2,
        )
    )  # fmt: skip
    name = plain(str(row.service))
    label = name if len(name) <= 26 else f"{name[:25]}…"
    style: dict[str, Any] = {"ha": "left", "va": "center", "zorder": 3, "parse_math": False}
    weight = "bold" if row.tier == "core" else "normal"
    axes.text(spot[0] + 0.1, spot[1] + 0.13, label, fontsize=9, weight=weight, **style)
    axes.text(spot[0] + 0.1, spot[1] - 0.15, _load(row, use), fontsize=8, color=INK, **style)


def _load(row: Any, use: float) -> str:
    if row.peak_q95 is None or not np.isfinite(float(row.peak_q95)):
        return "not forecast"
    if not np.isfinite(use):
        return f"{format_qps(float(row.peak_q95))} of an unknown capacity"
    load = format_qps(float(row.peak_q95))
    return f"▲ {load}, {format_number(use, digits=2)} × what it takes" if use > 1 else f"{load}, {format_percent(use)}"


def _title(evaluation: "Evaluation", frame: "pd.DataFrame", shown: int, name: str | None) -> str:
    if evaluation.plan is None:
        return f"Calls between {shown} of {len(frame)} services; make a plan to see their load"
    over = frame[frame["use_now"] > 1.0].sort_values("use_now", ascending=False, kind="stable")
    left = f"; {len(frame) - shown} services are not drawn" if shown < len(frame) else ""
    where = f" around {name}" if name is not None else ""
    if over.empty:
        return f"Every service takes its worst second with today's instances{where}{left}"
    first = ", ".join(over["service"].head(3))
    return (
        f"{len(over)} of {len(frame)} services get more than today's instances take, most of all {first}{where}{left}"
    )


def _alt(part: "pd.DataFrame", name: str | None) -> str:
    top = part.dropna(subset=["use_now"]).sort_values("use_now", ascending=False, kind="stable").head(3)
    uses = zip(top["service"], top["use_now"], strict=True)
    said = ", ".join(f"{service} {format_percent(float(use))}" for service, use in uses) or "none known"
    where = f" around {name}" if name is not None else ""
    return f"Call graph of {len(part)} services{where}, callers left of callees; most used of today's capacity: {said}"
