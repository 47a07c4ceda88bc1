"""The picture of what is open: things to do by day and kind, up to the freeze."""

from typing import TYPE_CHECKING, Any

import numpy as np

from capacity.display.escape import plain
from capacity.display.figures import BLUE, GREY, VERMILION, Chart, new_figure

if TYPE_CHECKING:
    from capacity.operations.readiness import Readiness

_KINDS = ("promise", "approval", "gap", "action", "switch", "scale", "load_test", "drill", "duty", "third_party")


def draw_readiness(readiness: "Readiness") -> Chart:
    """Draw how many things of each kind are due on which day; what blocks is a cross, today a line."""
    frame = readiness.to_frame()
    dated = frame.dropna(subset=["due"])
    kinds = [kind for kind in _KINDS if (dated["kind"] == kind).any()]
    counts = dated.groupby(["kind", "due", "blocking"], as_index=False).size()
    figure = new_figure(8.0, 1.2 + 0.4 * max(len(kinds), 1))
    axes = figure.subplots()
    for row in counts.itertuples():
        color = VERMILION if row.blocking else BLUE
        day = np.datetime64(str(row.due))
        place = kinds.index(str(row.kind))
        axes.scatter([day], [place], s=90, color=color, marker="X" if row.blocking else "o")
        axes.annotate(str(row.size), (day, place), xytext=(8, 0), textcoords="offset points", va="center", color=color)
    today: Any = np.datetime64(readiness.as_of.isoformat())
    axes.axvline(today, color=GREY, linewidth=1)
    axes.set_yticks(range(len(kinds)), [plain(kind.replace("_", " ")) for kind in kinds])
    axes.set_ylim(-0.6, max(len(kinds), 1) - 0.4)
    axes.set_title("number due on a day; red cross: blocks; grey line: today", loc="left", fontsize=9, color=GREY)
    said = [f"{int((dated['kind'] == kind).sum())} {kind.replace('_', ' ')}" for kind in kinds]
    return Chart(
        figure=figure,
        title=readiness.summary(),
        alt=f"Things to do by day: {', '.join(said) or 'none'}",
        frame=frame,
        units=dict(readiness.units),
    )
