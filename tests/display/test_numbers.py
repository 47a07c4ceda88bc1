"""Numbers for people: near the truth, never claiming more."""

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capacity.display.numbers import format_number, format_odds, format_percent, format_qps, format_seconds

FACTORS = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}


def read(text):
    digits, _, prefix = text.replace("−", "-").replace(",", "").partition(" ")
    return float(digits) * FACTORS[prefix]


@given(st.floats(-1e15, 1e15, allow_nan=False).filter(lambda x: abs(x) > 1e-12 or x == 0))
def test_a_formatted_number_is_within_its_rounding(value):
    assert read(format_number(value)) == pytest.approx(value, rel=0.0051, abs=0)


@given(st.integers(-9999, 9999))
def test_small_whole_numbers_stay_exact(value):
    assert read(format_number(value)) == value


def test_numbers_at_the_edges():
    assert format_number(999_999) == "1 M"
    assert format_number(9_999.6) == "10 k"
    assert format_number(12_345) == "12.3 k"
    assert format_number(0.1 + 0.2) == "0.3"
    assert format_number(-1500.5) == "−1,500"
    assert format_number(math.nan) == "–"
    assert format_qps(None) == "–"


@given(st.floats(0, 1))
def test_a_percentage_is_never_wrongly_certain(fraction):
    text = format_percent(fraction)
    if fraction not in (0.0, 1.0):
        assert text not in ("0 %", "0.0 %", "100 %", "100.0 %")


def test_percentages_beyond_one_and_below_zero():
    assert format_percent(1.25) == "125 %"
    assert format_percent(-0.031) == "−3.1 %"


@given(st.floats(0.001, 0.5))
def test_odds_are_near(probability):
    n = float(re.fullmatch(r"1 in ([\d,]+)", format_odds(probability)).group(1).replace(",", ""))
    assert 1 / n == pytest.approx(probability, rel=0.26)


def test_odds_refuse_what_is_no_probability():
    with pytest.raises(ValueError, match="0 to 1"):
        format_odds(1.2)


def test_durations():
    assert [format_seconds(s) for s in (0, 0.0023, 59.4, 3599.6, 86_399, 90_000, -30)] == [
        "0 s", "2.3 ms", "59.4 s", "1 h", "1 d", "1 d 1 h", "−30 s",
    ]  # fmt: skip
