"""The review as its readers get it: verdict, document, metrics, figures."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from capacity.display.figures import Chart
from capacity.errors import UsageError
from capacity.retrospective import Review

HOSTILE = '<script>alert("x")</script> \x1b[31m \u202e $\\frac{1}{2}$'


def busy(world: Any) -> Any:
    start = world.say("incident_start", "20:01", HOSTILE, service="shop", who="<b>li</b>")
    world.say("resolved", "20:31", HOSTILE, ref=start)
    world.say("incident_start", "21:01", HOSTILE, service=HOSTILE.split()[0])
    world.say("action", "23:00", HOSTILE)
    world.say("alert", "20:01", HOSTILE, service="shop")
    return world


def test_verdict_is_three_sentences_with_numbers(build_world: Callable[..., Any]) -> None:
    world = build_world({"peak_share": 1.3})
    world.document["services"]["search"]["cluster_limit_qps"] = 540.0
    review = world.review()
    assert len(review.verdict) == 3
    for sentence in review.verdict:
        assert sentence.endswith(".")
        assert sentence.count(". ") == 0
        assert any(letter.isdigit() for letter in sentence)
    assert "1.30 times the forecast's centre, most of it from peak share (× 1.30)" in review.verdict[0]
    assert review.verdict[1].startswith("Search went beyond its limit: its busiest second, 1,630/s, was 302 % of")


def test_without_a_journal_the_verdict_does_not_claim_calm(world: Any) -> None:
    review = world.review()
    assert review.verdict[2].startswith("No journal was kept")
    assert "0 incidents" not in review.verdict[2]


def test_document_is_plain_json_and_names_its_schema(world: Any) -> None:
    document = busy(world).review().to_document()
    text = json.dumps(document, allow_nan=False, ensure_ascii=False)
    read = json.loads(text)
    assert read["schema"] == "capacity.retrospective/1"
    assert read["promotion"] == "2026-double11"
    assert list(read)[:5] == ["schema", "promotion", "as_of", "verdict", "metrics"]
    assert read["services"][0]["peak_at"].startswith("2026-11-1")
    assert read["lessons"] == [lesson.model_dump(mode="json") for lesson in world.review().lessons]


def test_metrics_are_named_valued_and_unique(world: Any) -> None:
    metrics = busy(world).review().metrics()
    assert all(list(metric) == ["name", "value", "unit"] for metric in metrics)
    names = [metric["name"] for metric in metrics]
    assert len(set(names)) == len(names)
    found = {metric["name"]: metric["value"] for metric in metrics}
    assert (found["mttr"], found["mttr_n"], found["mttd"], found["mttd_n"]) == (30.0, 1, None, 0)
    assert found["peaks_judged"] == 20
    assert found["alert_without_runbook"] == 1


def test_the_same_inputs_give_the_same_review(build_world: Callable[..., Any]) -> None:
    first, second = (busy(build_world()).review().to_document() for _ in range(2))
    assert json.dumps(first) == json.dumps(second)


@pytest.mark.parametrize("what", ["peaks", "miss", "demand", "incidents"])
def test_figures_draw_and_say_what_they_show(world: Any, what: str) -> None:
    chart = busy(world).review().plot(what)
    assert isinstance(chart, Chart)
    assert any(letter.isdigit() for letter in chart.alt)
    assert len(chart.frame)
    html = chart.to_html()
    assert "<script>" not in html
    assert "data:image/svg+xml" in html


def test_figure_of_one_service(world: Any) -> None:
    assert "shop" in world.review().plot("service", service="shop").title
    with pytest.raises(UsageError, match="did you mean 'search'"):
        world.review().plot("service", service="serch")
    with pytest.raises(UsageError, match="did you mean 'peaks'"):
        world.review().plot("peak")


def test_figures_of_what_is_not_there_say_so(world: Any) -> None:
    world.activity = world.activity.iloc[:0]
    world.traffic["peak_qps"] = float("nan")
    review = world.review()
    for what in ("demand", "incidents", "peaks"):
        review.plot(what).to_svg()
    with pytest.raises(UsageError, match="could not be split"):
        review.plot("miss", service="nobody")


def test_shown_as_html_and_text_nothing_hostile_survives(world: Any) -> None:
    world.catalog = None
    world.traffic.loc[world.traffic["service"] == "rec", "service"] = "<script>x</script>"
    review = world.review()
    assert isinstance(review, Review)
    assert "<script>" not in review._repr_html_()
    assert "<script>" not in review.plot().to_html()
    assert "\x1b" not in "".join((*review.verdict, *(action.text for action in busy(world).review().actions)))
    assert repr(review).startswith("<Review: 2026-double11: DAU was")


@pytest.mark.parametrize("what", ["peaks", "demand"])
def test_bars_of_intervals_end_where_the_intervals_end(world: Any, what: str) -> None:
    bars = [line for axes in world.review().plot(what).figure.axes for line in axes.lines if line.get_linewidth() > 5]
    assert len(bars) >= 4
    assert {line.get_solid_capstyle() for line in bars} == {"butt"}
