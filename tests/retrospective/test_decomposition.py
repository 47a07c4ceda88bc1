"""The split of a miss: known factors come back, and the terms add up whatever is unknown."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capacity.retrospective.decomposition import (
    FACTORS,
    combine_entries,
    forecast_levels,
    merged_names,
    split_miss,
)

LOGS = st.lists(st.floats(-8.0, 12.0), min_size=5, max_size=5)
KNOWN = st.lists(st.booleans(), min_size=5, max_size=5)


@given(LOGS, LOGS, KNOWN)
def test_terms_add_up_to_the_last_known_level(actual: list[float], forecast: list[float], known: list[bool]) -> None:
    levels = np.where(known, actual, np.nan)[None]
    terms = split_miss(levels, np.array([forecast]))[0]
    assert np.array_equal(np.isfinite(terms), known)
    if any(known):
        last = int(np.flatnonzero(known)[-1])
        assert np.nansum(terms) == pytest.approx(actual[last] - forecast[last], abs=1e-9)
        assert " × ".join(name for name in merged_names(np.array(known)) if name) == " × ".join(FACTORS[: last + 1])


@given(st.lists(st.tuples(LOGS, LOGS), min_size=1, max_size=4), KNOWN)
def test_terms_of_all_entries_add_up_to_the_miss_of_their_sum(pairs: Any, known: list[bool]) -> None:
    actual = np.where(known, np.array([a for a, _ in pairs]), np.nan)
    forecast = np.array([f for _, f in pairs])
    if not any(known[2:]):
        return
    terms, total_actual, total_forecast = combine_entries(actual, forecast)
    last = int(np.flatnonzero(known)[-1])
    assert total_actual == pytest.approx(np.exp(actual[:, last]).sum())
    assert np.nansum(terms) == pytest.approx(np.log(total_actual / total_forecast), abs=1e-6)


def test_levels_multiply_as_medians_would_not() -> None:
    rng = np.random.default_rng(3)
    factors = np.exp(rng.normal(0.0, 0.7, (999, 2, 5)) + rng.exponential(0.5, (999, 2, 5)))
    levels, spread = forecast_levels(factors)
    product = np.log(factors.prod(axis=2) / 60.0).mean(axis=0)
    assert levels[:, -1] == pytest.approx(product)
    assert spread[0, 0] == pytest.approx(np.log(factors[:, 0, 0]).std())


def test_futures_without_traffic_are_left_out_of_the_centre_of_that_entry() -> None:
    factors = np.ones((4, 1, 5)) * 2.0
    factors[0, 0, 2] = 0.0
    levels, _ = forecast_levels(factors)
    assert np.exp(levels[0, 2]) == pytest.approx(8.0)


@pytest.mark.parametrize("factor", FACTORS)
def test_the_factor_that_missed_is_the_one_that_is_named(build_world: Callable[..., Any], factor: str) -> None:
    review = build_world({factor: 1.25}).review()
    table = review.decomposition.set_index(["entry", "factor"])["multiplier"]
    for entry in ("shop", "search", "(all entries)"):
        for other in FACTORS:
            assert table[entry, other] == pytest.approx(1.25 if other == factor else 1.0, abs=1e-6)


def test_all_factors_at_once_come_back_with_their_values(build_world: Callable[..., Any]) -> None:
    truth = {"dau": 1.1, "dat_per_dau": 0.9, "requests_per_dat": 1.2, "peak_share": 1.3, "burst": 0.8}
    world = build_world(truth)
    table = world.review().decomposition.set_index(["entry", "factor"])
    for entry in ("shop", "search"):
        for factor, times in truth.items():
            centre = world.truth[entry][factor]
            assert table.loc[(entry, factor), "forecast"] == pytest.approx(centre, rel=1e-6)
            assert table.loc[(entry, factor), "actual"] == pytest.approx(centre * times, rel=1e-6)


def test_calls_from_inside_are_not_the_entrys_own(build_world: Callable[..., Any]) -> None:
    world = build_world({"burst": 1.25})
    plain = world.review().decomposition
    # From now on half of what search is asked comes from shop, on top of what came from outside.
    calls = [{"to": "search", "per_request": 0.5}, {"to": "db", "per_request": 2.0}]
    shop = world.catalog["shop"].model_copy(update={"calls": ()})
    services = [type(shop).model_validate(shop.model_dump(exclude_unset=True) | {"calls": calls})]
    services += [service for name, service in world.catalog.items() if name != "shop"]
    world.catalog = type(world.catalog).from_services(services)
    traffic = world.traffic
    asked = traffic.loc[traffic["service"] == "shop", "requests"].to_numpy() * 0.5
    at = traffic["service"] == "search"
    traffic.loc[at, "requests"] += asked
    traffic.loc[at, "peak_qps"] += asked / 60.0
    review = world.review()
    assert review.decomposition["log_term"].to_numpy() == pytest.approx(plain["log_term"].to_numpy(), abs=1e-6)
    assert any("Calls from inside are taken off" in line for line in review.missing)


def test_unknown_people_merge_the_factors_that_need_them(build_world: Callable[..., Any]) -> None:
    world = build_world({"dat_per_dau": 1.2, "requests_per_dat": 1.1})
    world.activity.loc[1, "dat"] = np.nan
    table = world.review().decomposition.set_index(["entry", "factor"])["multiplier"]
    assert table["shop", "dat_per_dau × requests_per_dat"] == pytest.approx(1.32, abs=1e-6)
    world.activity = world.activity.iloc[:0]
    table = world.review().decomposition.set_index(["entry", "factor"])["multiplier"]
    assert table["shop", "dau × dat_per_dau × requests_per_dat"] == pytest.approx(1.32, abs=1e-6)
