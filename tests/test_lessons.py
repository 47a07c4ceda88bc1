"""lessons.yaml: numbers that the next forecast reads."""

from datetime import date
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capacity.errors import InputError
from capacity.lessons import Lesson, Lessons, Parameter, parse_lessons

TEXT = """
- parameter: dau
  scope: {kind: double11}
  quantiles: {q05: 0.95, q50: 1.08, q95: 1.2}
  evidence: "8.9 M came, 8.2 M were said"
  promotion: 2025-double11
  learned_at: 2025-11-20
- parameter: dau
  scope: all
  quantiles: {q05: 0.9, q50: 1.0, q95: 1.1}
  promotion: 2025-618
  learned_at: 2025-06-25
- parameter: burst
  scope: {kind: double11, service: checkout}
  quantiles: {q05: 1, q50: 1.3, q95: 1.6}
  promotion: 2025-double11
  learned_at: 2025-11-20
"""


@pytest.fixture
def lessons():
    return parse_lessons(TEXT)


def test_the_most_specific_lesson_comes_last(lessons):
    found = lessons.find("dau", kind="double11", segment="app")
    assert [lesson.promotion for lesson in found] == ["2025-618", "2025-double11"]
    assert [lesson.promotion for lesson in lessons.find("dau", kind="618")] == ["2025-618"]
    assert len(lessons.find("burst", kind="double11", service="search")) == 0


def test_before_hides_the_day_itself(lessons):
    assert len(lessons.before(date(2025, 11, 20))) == 1
    assert len(lessons.before(date(2025, 11, 21))) == 3
    assert len(lessons.before(date(2025, 6, 25))) == 0


def test_a_second_review_of_a_promotion_replaces_the_first(lessons):
    new = Lesson(
        parameter="dau",
        scope={"kind": "double11"},
        quantiles={"q05": 1, "q50": 1.2, "q95": 1.4},
        promotion="2025-double11",
        learned_at="2025-12-01",
    )
    again = lessons.with_lessons([new])
    assert len(again) == 3
    assert again.find("dau", kind="double11")[-1].quantiles.q50 == 1.2
    assert again.with_lessons([new]) == again


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        ("parameter: burst", "parameter: bursts", "did you mean 'burst'?"),
        ("q05: 0.95", "q05: 1.5", "at least q05 (1.5)"),
        ("q05: 0.95", "q05: 0", "more than 0"),
        ("q05: 0.95", "q05: .nan", "finite"),
        ("learned_at: 2025-06-25", "learned_at: 25.6.2025", "a day such as"),
        ("scope: all", "scope: everything", "a mapping"),
        ("scope: {kind: double11}", "scope: {kind: 618}", "put it in quotes"),
        ("  evidence", "  evidense", "did you mean 'evidence'?"),
    ],
)
def test_bad_lessons(old, new, part):
    with pytest.raises(InputError) as caught:
        parse_lessons(TEXT.replace(old, new, 1))
    assert part in str(caught.value)


NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20).filter(str.strip)
LESSONS = st.builds(
    Lesson,
    parameter=st.sampled_from(get_args(Parameter)),
    scope=st.dictionaries(NAMES, NAMES, max_size=2),
    quantiles=st.lists(st.floats(1e-3, 1e3), min_size=3, max_size=3)
    .map(sorted)
    .map(lambda q: {"q05": q[0], "q50": q[1], "q95": q[2]}),
    evidence=st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=40),
    promotion=NAMES,
    learned_at=st.dates(date(2000, 1, 1), date(2100, 1, 1)),
)


@given(st.lists(LESSONS, max_size=4).map(Lessons))
def test_lessons_survive_being_written(lessons):
    assert parse_lessons(lessons.to_yaml()) == lessons


def test_slices_and_order(lessons):
    assert [lesson.learned_at.year for lesson in lessons[1:]] == [2025, 2025]
    assert isinstance(lessons[:1], Lessons)
