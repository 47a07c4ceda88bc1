"""Figures: house style, deterministic bytes, alt text, any language."""

import re
import warnings
from pathlib import Path
from xml.etree import ElementTree as ET

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

from capacity.display import figures
from capacity.display.figures import Chart, draw_band, label_line, label_lines, new_figure, number_axis, percent_axis


def chart(title="Orders grow", label="orders"):
    figure = new_figure(6, 3)
    axes = figure.subplots()
    x = np.arange(5.0)
    axes.plot(x, 1e6 * x, label=label)
    draw_band(axes, x, 0.9e6 * x, 1.1e6 * x, coverage=0.9)
    label_line(axes, x[-1], 4e6, label)
    number_axis(axes.yaxis)
    axes.set_title(title)
    axes.legend()
    return Chart(figure, title, f"Line: {label} from 0 to 4 million", pd.DataFrame({"x": x}))


def test_the_same_chart_gives_the_same_bytes():
    one, other = chart(), chart()
    assert one.to_svg() == other.to_svg() == one.to_svg()
    assert one.to_png() == other.to_png()
    assert not re.search(rb"20\d\d-\d\d-\d\dT", one.to_svg())


def test_chinese_labels_draw_without_warning_and_stay_text():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = chart("双十一峰值", "结算")
        svg = made.to_svg().decode()
        made.to_png()
    assert "双十一峰值" in svg
    assert "结算" in svg


@pytest.mark.parametrize("name", ["a$b^{", "$\\frac", "<script>alert(1)</script>", "x\x00\x1b", "🛒", '"><img src=x>'])
def test_hostile_names_are_drawn_as_they_are(name):
    made = chart(name, name)
    html = made.to_html()
    assert "<script" not in html
    assert "<img src=x" not in html
    ET.fromstring(made.to_svg())
    made.to_png()


def test_a_hostile_category_on_an_axis_is_no_formula():
    figure = new_figure(4, 3)
    figure.subplots().barh(["a$b^{$", "c"], [1, 2])
    assert b"a$b^{$" in Chart(figure, "t", "a", pd.DataFrame()).to_svg()


def test_the_page_needs_nothing_from_outside():
    html = chart().to_html()
    assert 'alt="Line: orders from 0 to 4 million"' in html
    assert "<figcaption>Orders grow</figcaption>" in html
    assert "<details>" in html
    assert "http" not in html


def test_bands_are_labelled_with_their_coverage_and_axes_with_readable_numbers():
    svg = chart().to_svg().decode()
    assert "90 % interval" in svg
    assert "2 M" in svg


def test_a_heavy_figure_becomes_png(monkeypatch):
    monkeypatch.setattr(figures, "_LARGEST_SVG", 1000)
    assert "data:image/png;base64," in chart().to_html()


def test_save_by_ending(tmp_path):
    made = chart()
    made.save(tmp_path / "a.svg")
    made.save(tmp_path / "a.png")
    assert (tmp_path / "a.svg").read_bytes().startswith(b"<?xml")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ValueError, match=r"\.svg or \.png"):
        made.save(tmp_path / "a.gif")


def test_pyplot_stays_unused_and_global_style_untouched():
    before = {key: value for key, value in mpl.rcParams.items() if key != "backend"}
    chart().to_svg()
    assert {key: value for key, value in mpl.rcParams.items() if key != "backend"} == before
    assert "import matplotlib.pyplot" not in Path(figures.__file__).read_text()


def test_percent_axis():
    figure = new_figure(4, 3)
    axes = figure.subplots()
    axes.plot([0, 1], [0, 0.5])
    percent_axis(axes.yaxis)
    assert "50 %" in Chart(figure, "t", "a", pd.DataFrame()).to_svg().decode()


def luminance(color):
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


def test_ink_reads_well_on_white_and_lines_are_told_apart():
    assert 1.05 / (luminance(figures.INK) + 0.05) > 7
    assert len(set(figures.PALETTE)) == len(figures.PALETTE)
    first_two = sorted(luminance(c) for c in figures.PALETTE[:2])
    assert (first_two[1] + 0.05) / (first_two[0] + 0.05) > 1.5


def test_dates_are_written_briefly_in_their_own_zone():
    figure = new_figure(6, 3)
    axes = figure.subplots()
    days = pd.date_range("2026-11-10T20:00", periods=5, freq="h", tz="Asia/Shanghai")
    axes.plot(days, range(5))
    svg = Chart(figure, "t", "a", pd.DataFrame()).to_svg().decode()
    assert re.search(">20:00|>21:00|>22:00", svg)
    assert "2026-11-10 " not in svg


@pytest.mark.parametrize("heights", [[5.0, 5.0, 5.0], [9.9, 10.0, 10.0, 9.8], [0.0, 0.1, 10.0]])
def test_names_of_lines_lie_apart_and_inside(heights: list[float]) -> None:
    """What lies outside of the axes would not be drawn at all."""
    axes = new_figure().subplots()
    axes.plot([0, 1], [0, 10])
    axes.set_ylim(0, 10)
    label_lines(axes, [(1.0, y, f"line {k}", "black") for k, y in enumerate(heights)])
    placed = sorted(text.xy[1] for text in axes.texts)  # type: ignore[attr-defined]
    assert len(placed) == len(heights)
    assert placed[0] >= 0
    assert placed[-1] <= 10
    assert (np.diff(placed) > 0.5).all()
