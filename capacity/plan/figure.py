"""The plan's picture: each service's worst second against what it safely takes, and its limit."""

from typing import TYPE_CHECKING, Any

import numpy as np

from capacity.display.escape import plain
from capacity.display.figures import BLUE, GREY, VERMILION, Chart, new_figure, percent_axis
from capacity.display.numbers import format_number, format_percent

if TYPE_CHECKING:
    import pandas as pd

    from capacity.plan.result import Plan

_MOST = 30


def draw_plan(plan: "Plan") -> Chart:
    """Draw the services by how much of their safe capacity the worst second may use."""
    frame = load_frame(plan)
    shown = frame.head(_MOST).iloc[::-1]
    figure = new_figure(8.0, 1.4 + 0.27 * max(len(shown), 1))
    axes = figure.subplots()
    rows = np.arange(len(shown))
    axes.axvline(1.0, color=GREY, linewidth=1)
    axes.hlines(rows, shown["use_q05"], shown["use_q95"], color=BLUE, linewidth=6, alpha=0.35)
    axes.plot(shown["use_q50"], rows, "o", color=BLUE, markersize=5)
    axes.plot(shown["limit_share"], rows, "|", color=VERMILION, markersize=12, markeredgewidth=2)
    axes.set_yticks(rows, [plain(str(name)) for name in shown["service"]])
    axes.set_xlim(left=0)
    percent_axis(axes.xaxis)
    axes.set_xlabel("worst second as a share of the capacity that is safe after the zone loss")
    axes.set_title("bar: 90 % of futures, dot: middle, red tick: cluster limit", loc="left", fontsize=9, color=GREY)
    return Chart(figure=figure, title=_title(plan, frame, len(shown)), alt=_alt(frame), frame=frame)


def load_frame(plan: "Plan") -> "pd.DataFrame":
    """One row a service with a known capacity, the tightest first."""
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for name, entry in plan.document["services"].items():
        safe, peak, limit = entry.get("safe_capacity_qps"), entry["peak_qps"], entry["cluster_limit_qps"]
        if not safe:
            continue
        safe = safe / (entry.get("carried_at_once_fraction") or 1.0)  # what may wait in a queue weighs less
        rows.append(
            {
                "service": name,
                "use_q05": peak["q05"] / safe,
                "use_q50": peak["q50"] / safe,
                "use_q95": peak["q95"] / safe,
                "limit_share": np.nan if limit is None else limit / entry["safe_capacity_qps"],
                "instances": entry["instances"],
            }
        )
    columns = ["service", "use_q05", "use_q50", "use_q95", "limit_share", "instances"]
    frame = pd.DataFrame(rows, columns=columns)
    return frame.sort_values("use_q95", ascending=False, kind="stable").reset_index(drop=True)


def _title(plan: "Plan", frame: "pd.DataFrame", shown: int) -> str:
    cost = plan.document["cost"]
    left = f", {len(frame) - shown} calmer ones not drawn" if len(frame) > shown else ""
    return (
        f"Worst second against safe capacity, {plan.promotion_id}: {format_number(cost['per_hour_now'])} → "
        f"{format_number(cost['per_hour_peak'])} {cost['currency']} an hour{left}"
    )


def _alt(frame: "pd.DataFrame") -> str:
    if frame.empty:
        return "No service has a known capacity to draw against"
    top = frame.iloc[0]
    return (
        f"Bars for {len(frame)} services; the tightest is {top['service']}, whose worst second uses "
        f"{format_percent(float(top['use_q50']))} of its safe capacity in the middle future and "
        f"{format_percent(float(top['use_q95']))} in 1 of 20"
    )
