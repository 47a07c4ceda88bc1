"""Figures in one house style: colour-blind safe, labelled where the eye is, the same bytes every time.

pyplot is never used: a figure belongs to its result, not to a global list. Text of any origin is drawn
as it is written, never as a formula. SVG keeps text as text, so that Chinese labels show with the
reader's fonts even where this machine has none.

References
----------
Okabe and Ito, Color Universal Design (2008), https://jfly.uni-koeln.de/color/
"""

import base64
import io
import warnings
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import matplotlib as mpl
from cycler import cycler
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.dates import AutoDateFormatter, AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter

from capacity.display.escape import escape, plain
from capacity.display.numbers import format_number, format_percent
from capacity.display.tables import to_html

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import ArrayLike

BLUE, ORANGE, GREEN, VERMILION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
PURPLE, SKY, YELLOW, GREY, INK = "#CC79A7", "#56B4E9", "#F0E442", "#8A8A8A", "#222222"
PALETTE = (BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY)
"""Line colours, told apart with any colour vision; yellow is kept out of lines, as it fades on white."""

_CHINESE = (
    "Noto Sans CJK SC",
    "Noto Sans SC",
    "Source Han Sans SC",
    "Source Han Sans CN",
    "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei",
    "PingFang SC",
    "Microsoft YaHei",
    "SimHei",
    "Droid Sans Fallback",
    "Arial Unicode MS",
)
_LARGEST_SVG = 400_000
_LABEL_GAP = 0.06  # of the axis: the height of a line of text in figures of our size
_DPI = 144


@cache
def _style() -> Any:
    installed = {font.name for font in font_manager.fontManager.ttflist}
    return {
        "font.family": "sans-serif",
        "font.sans-serif": ["DejaVu Sans", *(name for name in _CHINESE if name in installed)],
        "font.size": 10,
        "axes.edgecolor": GREY,
        "axes.labelcolor": INK,
        "axes.axisbelow": True,
        "axes.grid": True,
        "axes.prop_cycle": cycler(color=PALETTE),
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.unicode_minus": True,
        "figure.facecolor": "white",
        "grid.color": "#E6E6E6",
        "grid.linewidth": 0.6,
        "legend.frameon": False,
        "lines.linewidth": 1.8,
        "savefig.facecolor": "white",
        "svg.fonttype": "none",
        "svg.hashsalt": "capacity",
        "text.color": INK,
        "text.parse_math": False,
        "xtick.color": INK,
        "ytick.color": INK,
    }


def house_style() -> AbstractContextManager[None]:
    """Return a context in which matplotlib draws in the house style.

    `new_figure` needs no such context; figures made elsewhere do.
    """
    return mpl.rc_context(dict(_style()))


class _HouseFigure(Figure):
    """A figure whose axes are made in the house style, wherever they are added."""

    def add_subplot(self, *args: Any, **kwargs: Any) -> Any:
        with house_style():
            return super().add_subplot(*args, **kwargs)


def new_figure(width: float = 8.0, height: float = 4.0) -> Figure:
    """Make an empty figure in the house style; add axes with ``figure.subplots(…)``.

    Parameters
    ----------
    width, height
        In inches; 8 is a page's width.

    Returns
    -------
    Figure
        Without pyplot, laid out so that labels do not overlap.

    Examples
    --------
    >>> axes = new_figure(6, 3).subplots()
    >>> axes.spines["top"].get_visible()
    False
    """
    with house_style():
        return _HouseFigure(figsize=(width, height), layout="constrained")


def number_axis(axis: Any, *, unit: str = "") -> None:
    """Write an axis's numbers as people read them: ``1.2 M``; `unit` is added to each."""
    tail = f" {unit}" if unit else ""
    axis.set_major_formatter(FuncFormatter(lambda value, _: format_number(value) + tail))


def percent_axis(axis: Any) -> None:
    """Write an axis's fractions as percentages."""
    axis.set_major_formatter(FuncFormatter(lambda value, _: format_percent(value)))


def draw_band(
    axes: Axes, x: "ArrayLike", low: "ArrayLike", high: "ArrayLike", *, coverage: float, color: str = BLUE
) -> None:
    """Shade an interval; its coverage becomes its label in a legend.

    Parameters
    ----------
    axes
        Where to draw.
    x, low, high
        Same length.
    coverage
        Probability that the truth lies inside, such as 0.9.
    color
        Of the band.
    """
    axes.fill_between(x, low, high, color=color, alpha=0.18, linewidth=0, label=f"{format_percent(coverage)} interval")


def label_line(
    axes: Axes, x: Any, y: Any, text: str, *, color: str = INK, side: Literal["right", "left"] = "right"
) -> None:
    """Write a line's name at a point of it, instead of in a legend."""
    offset, align = ((6, 0), "left") if side == "right" else ((-6, 0), "right")
    place: dict[str, Any] = {"xytext": offset, "textcoords": "offset points", "ha": align, "va": "center"}
    axes.annotate(plain(text), (x, y), color=color, parse_math=False, **place)


def label_lines(axes: Axes, labels: Sequence[tuple[float, float, str, str]]) -> None:
    """Write several lines' names, moved apart where they would lie on each other.

    Parameters
    ----------
    labels
        ``(x, y, text, color)`` of each; all are written at the right of the rightmost x.
    """
    low, high = axes.get_ylim()
    gap, free = _LABEL_GAP * (high - low), float("-inf")
    right = max((x for x, *_ in labels), default=0.0)
    ranked = sorted(labels, key=lambda label: label[1])
    heights = []
    for _, y, _, _ in ranked:
        free = max(y, free + gap)
        heights.append(free)
    # What is outside of the axes is not drawn: a pile that grew past the top is pushed down again.
    free = high
    for place in reversed(range(len(heights))):
        heights[place] = min(heights[place], free)
        free = heights[place] - gap
    for (_, _, text, color), height in zip(ranked, heights, strict=True):
        label_line(axes, right, height, text, color=color)


@dataclass(frozen=True, eq=False)
class Chart:
    """A figure with what it says and the numbers behind it.

    Parameters
    ----------
    figure
        From `new_figure`.
    title
        What the reader should see; shown as the caption.
    alt
        The same for those who cannot see it: the kind of figure, and its main numbers.
    frame
        The data drawn.
    units
        Unit of a column of the frame.

    Examples
    --------
    >>> import pandas as pd
    >>> figure = new_figure(4, 2)
    >>> _ = figure.subplots().plot([1, 2], [3, 4])
    >>> chart = Chart(figure, "Orders grow", "line from 3 to 4", pd.DataFrame({"day": [1, 2], "orders": [3, 4]}))
    >>> "data:image/svg+xml;base64," in chart._repr_html_(), chart
    (True, <Chart: Orders grow>)
    """

    figure: Figure
    title: str
    alt: str
    frame: "pd.DataFrame"
    units: Mapping[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<Chart: {plain(self.title)}>"

    def to_svg(self) -> bytes:
        """Draw as SVG: sharp at any size, text stays text."""
        return _drawn(self.figure, "svg")

    def to_png(self) -> bytes:
        """Draw as PNG."""
        return _drawn(self.figure, "png")

    def to_html(self, *, with_data: bool = True) -> str:
        """Return a ``<figure>`` that needs nothing from outside.

        SVG when it is small, PNG where very many points would make a page heavy.
        """
        content, kind = self.to_svg(), "svg+xml"
        if len(content) > _LARGEST_SVG:
            content, kind = self.to_png(), "png"
        source = f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"
        image = f'<img alt="{escape(self.alt)}" src="{source}" style="max-width:100%;height:auto">'
        data = f"<details><summary>Data</summary>{self._table()}</details>" if with_data else ""
        return f"<figure>{image}<figcaption>{escape(self.title)}</figcaption>{data}</figure>"

    def save(self, path: Path | str) -> None:
        """Write ``.svg`` or ``.png``, by the path's ending; the same chart gives the same bytes."""
        target = Path(path)
        kind = target.suffix.lower()
        if kind not in {".svg", ".png"}:
            raise ValueError(f"path: got the ending {kind!r}, expected .svg or .png")
        target.write_bytes(self.to_svg() if kind == ".svg" else self.to_png())

    def _repr_html_(self) -> str:
        return self.to_html()

    def _table(self) -> str:
        return to_html(self.frame, units=self.units, max_rows=200)


def _finish(figure: Figure) -> None:
    """Bring what was added outside the house style into it."""
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            locator = axis.get_major_locator()
            if isinstance(axis.get_major_formatter(), AutoDateFormatter) and isinstance(locator, AutoDateLocator):
                # The default writes every date in full, one over the other.
                axis.set_major_formatter(ConciseDateFormatter(locator, tz=locator.tz))  # type: ignore[no-untyped-call]
    for legend in figure.findobj(Legend):
        legend.get_frame().set_visible(False)
    for text in figure.findobj(Text):
        # Names come from files: a dollar sign is no formula, a control character no part of an image.
        text.set_parse_math(False)
        text.set_text("\n".join(plain(line) for line in text.get_text().split("\n")))


def _drawn(figure: Figure, kind: Literal["svg", "png"]) -> bytes:
    _finish(figure)
    buffer = io.BytesIO()
    metadata = {"Date": None, "Creator": None} if kind == "svg" else {"Software": None}
    with house_style(), warnings.catch_warnings():
        # In SVG the reader's fonts draw what this machine's cannot; measuring is near enough.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        if figure.get_layout_engine() is not None:
            # The layout creeps with every drawing; settled once, every drawing gives the same bytes.
            FigureCanvasAgg(figure)
            figure.draw_without_rendering()
            figure.set_layout_engine("none")
        canvas = FigureCanvasSVG(figure) if kind == "svg" else FigureCanvasAgg(figure)
        canvas.print_figure(buffer, format=kind, dpi=_DPI, metadata=metadata)
    return buffer.getvalue()
