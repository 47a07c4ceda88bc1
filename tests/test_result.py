"""Results: repr, display and quantiles."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capacity.result import Result, quantile_frame, quantile_name, quantiles


@dataclass(frozen=True)
class Peak(Result):
    samples: np.ndarray
    name: str

    def summary(self):
        return f"peak of {self.name}"

    def to_frame(self):
        return pd.DataFrame({"service": [self.name], "n": [len(self.samples)]})


def test_a_result_shows_its_summary_not_its_arrays():
    peak = Peak(np.zeros(10_000), "checkout")
    assert repr(peak) == "<Peak: peak of checkout>"


def test_results_with_arrays_can_be_compared_and_hashed():
    one, other = Peak(np.zeros(3), "a"), Peak(np.zeros(3), "a")
    assert one == one
    assert one != other
    assert len({one, other}) == 2


def test_notebook_display_is_escaped():
    html = Peak(np.zeros(1), "<script>alert(1)</script>")._repr_html_()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=50))
def test_quantiles_are_ordered_and_inside(values):
    low, mid, high = quantiles(values, [0.05, 0.5, 0.95])
    assert min(values) <= low <= mid <= high <= max(values)


def test_quantile_frame_of_one_series_and_of_named_series():
    assert quantile_frame(np.arange(101.0), [0.05, 0.5]).iloc[0].tolist() == [5.0, 50.0]
    frame = quantile_frame(np.stack([np.arange(101.0), np.arange(101.0) * 2], axis=1), index=["a", "b"])
    assert frame.columns.tolist() == ["q05", "q50", "q95", "q99"]
    assert frame.loc["b", "q99"] == 198.0


def test_an_unknown_sample_makes_the_quantile_unknown():
    assert np.isnan(quantiles([1.0, np.nan, 3.0], [0.5])).all()


def test_no_samples_is_an_error_not_a_number():
    with pytest.raises(ValueError, match="at least one"):
        quantiles(np.empty((0, 3)))


def test_quantile_names_differ_for_different_quantiles():
    levels = [0.005, 0.025, 0.05, 0.1, 0.5, 0.9, 0.95, 0.975, 0.99, 0.995, 0.999]
    assert len({quantile_name(level) for level in levels}) == len(levels)
