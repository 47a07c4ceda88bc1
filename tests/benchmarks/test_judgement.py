"""Scores and tests of intervals say what they claim."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from benchmarks.judgement import OURS, duels_table, exact_test, interval_score, intervals_table, judged, row

BAND = {"q05": 80.0, "q50": 100.0, "q95": 125.0}


@given(st.floats(1, 1e6), st.floats(1.01, 5), st.floats(0.01, 100))
def test_the_score_is_least_for_a_narrow_interval_that_holds(low, ratio, actual):
    low, high = np.array([low]), np.array([low * ratio])
    score = interval_score(low, high, np.array([actual]))
    wider = interval_score(low * 0.9, high * 1.1, np.array([actual]))
    assert score >= high - low
    if low <= actual <= high:
        assert score < wider


def test_the_score_is_proper():
    """The true quantiles have a smaller mean score than others."""
    actual = np.random.default_rng(0).lognormal(0, 0.3, 200_000)
    low, high = np.quantile(actual, [0.05, 0.95])
    best = interval_score(np.full_like(actual, low), np.full_like(actual, high), actual).mean()
    for k in (0.8, 1.25):
        other = interval_score(np.full_like(actual, low * k), np.full_like(actual, high / k), actual).mean()
        assert best < other


def test_verdicts_of_a_row():
    frame = judged([row("a", OURS, "dau", "d", BAND, actual) for actual in (70.0, 100.0, 130.0)])
    assert frame["below"].tolist() == [True, False, False]
    assert frame["above"].tolist() == [False, False, True]
    assert frame["score"].tolist() == pytest.approx([(45 + 20 * 10) / 70, 0.45, (45 + 20 * 5) / 130])
    assert frame["error"].tolist()[1] == 0


def test_a_lower_quantile_of_zero_has_no_width_and_is_still_scored():
    frame = judged([row("a", OURS, "peak_qps", "s", BAND | {"q05": 0.0}, 100.0)])
    assert np.isnan(frame["width"]).all()
    assert frame["score"].tolist() == [1.25]


def clustered(rng, companies, truths):
    """Truths that share a company's shock and lie inside with 90 % each."""
    shock = rng.normal(size=(companies, 1)) * 0.8 + rng.normal(size=(companies, truths)) * 0.6
    inside = np.abs(shock) < 1.6448536
    names = [f"{rng.integers(10**9)}-{k}" for k in range(companies)]
    return pd.DataFrame(
        {"company": np.repeat(names, truths), "name": np.tile(np.arange(truths), companies), "inside": inside.ravel()}
    )


def test_the_exact_test_is_valid_where_a_pooled_one_is_not():
    rng = np.random.default_rng(0)
    stated, every, pooled = [], [], []
    for _ in range(150):
        frame = clustered(rng, 50, 17)
        _, companies, p, all_p = exact_test(frame, metric="peak_qps")
        assert companies == 50
        stated.append(p)
        every.append(all_p)
        pooled.append(binomtest(int(frame["inside"].sum()), len(frame), 0.9).pvalue)
    assert np.mean(np.array(stated) < 0.05) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 150)
    assert np.mean(np.array(every) < 0.05) <= 0.05
    assert np.mean(np.array(pooled) < 0.05) > 0.15


def test_the_exact_test_finds_what_is_wrong():
    frame = clustered(np.random.default_rng(1), 50, 5)
    frame["inside"] &= np.random.default_rng(2).random(len(frame)) < 0.75
    _, _, p, all_p = exact_test(frame, metric="dau")
    assert p < 0.01
    assert all_p < 0.05


def test_the_draw_does_not_depend_on_the_order_of_rows():
    frame = clustered(np.random.default_rng(3), 30, 9)
    shuffled = frame.sample(frac=1, random_state=4)
    assert exact_test(frame, metric="dat") == exact_test(shuffled, metric="dat")


def test_tables_compare_on_the_truths_that_both_spoke_of():
    rows = [row(f"c{k}", OURS, "dau", day, BAND, 100.0 + k) for k in range(6) for day in ("d1", "d2")]
    wide = {"q05": 60.0, "q50": 100.0, "q95": 150.0}
    rows += [row(f"c{k}", "peer", "dau", "d1", wide, 100.0 + k) for k in range(4)]
    frame = judged(rows)
    table = intervals_table(frame).set_index("forecaster")
    assert table.loc[OURS, ["companies", "truths", "inside_90"]].tolist() == [6, 12, 1.0]
    (duel,) = duels_table(frame).to_dict("records")
    assert (duel["companies"], duel["truths"]) == (4, 4)
    assert duel["score_ratio"] == pytest.approx(0.5)
    assert duel["better_in"] == 1.0
