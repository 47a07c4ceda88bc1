"""Sliders move the answer; a page without sliders has the usual answers."""

import ipywidgets as widgets
import pytest

from capacity.plan import make_plan
from capacity.report import explore
from capacity.settings import Risk
from tests.plan.conftest import CAPACITY, ENTRY_QPS, curves_of, peaks_of, shop


@pytest.fixture(scope="module")
def explorer():
    catalog = shop()
    peaks, curves = peaks_of(catalog, ENTRY_QPS, n=200), curves_of(catalog, CAPACITY, n=200)
    return explore(make_plan(peaks, curves, services=catalog, risk=Risk()))


def test_moving_a_slider_answers_anew(explorer):
    box = explorer.sliders()
    controls = {child.description: child for child in box.children[:-1]}
    answer = box.children[-1]
    assert isinstance(answer, widgets.HTML)
    before = answer.value
    assert "no change" in before
    controls["demand ×"].value = 1.5
    assert "demand = 1.5" in answer.value
    controls["one service"].value = "checkout"
    controls["its instances (0: planned)"].value = 9
    assert "checkout.instances = 9" in answer.value
    controls["recommendations off"].value = True
    assert "off.recommendations = 1" in answer.value


def test_a_page_shows_the_usual_answers(explorer):
    frame = explorer.answers()
    assert list(frame["what if"]) == [
        "demand = 1.1",
        "demand = 1.25",
        "demand = 1.5",
        "zone_losses = 0",
        "zone_losses = 2",
    ]
    people = frame.head(3)
    assert people["overload_held"].is_monotonic_increasing
    assert people["cost_anew"].is_monotonic_increasing
    bundle = explorer._repr_mimebundle_()
    assert "demand = 1.25" in bundle["text/html"]
    assert any("widget" in kind for kind in bundle)
