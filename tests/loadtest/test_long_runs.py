"""Runs of a day, times that are years wrong, users who come and go: counted in bounded time and memory."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capacity.loadtest.cumulative import by_second, evenly_read, held_by_second
from capacity.loadtest.requests import RequestTally, grouped
from capacity.loadtest.segments import plateaus
from capacity.loadtest.steady import steady_steps
from capacity.loadtest.users import Lifetimes, UserCount, model_of


def test_short_steps_in_a_run_of_a_day_are_found_to_the_second() -> None:
    users = np.tile(np.repeat([1.0, 2.0, 4.0, 8.0], 20), 300)
    found = plateaus(np.arange(len(users)), users, counts=False)
    assert [s.level for s in found] == [1.0, 2.0, 4.0, 8.0] * 300
    assert {s.seconds for s in found} == {20}


@pytest.mark.parametrize("counts", [False, True])
def test_a_step_longer_than_a_piece_stays_whole(counts: bool) -> None:
    rng = np.random.default_rng(1)
    level = np.repeat([50.0, 80.0], [4000, 5000])
    load = rng.poisson(level).astype(float) if counts else level
    found = plateaus(np.arange(len(load)), load, counts=counts)
    assert [(s.begins_s, s.ends_s) for s in found] == [
        (0, pytest.approx(4000, abs=2)),
        (pytest.approx(4000, abs=2), 9000),
    ]


def test_times_that_are_years_wrong_cost_nothing() -> None:
    start = np.arange(0.0, 60.0, 0.1) + 1.7e9
    start[::50] = np.linspace(-9e10, 9e10, len(start[::50]))
    tally = RequestTally()
    tally.add(start, np.full(len(start), 0.1), failed=np.zeros(len(start), dtype=bool))
    steps = steady_steps(tally).steps
    assert len(steps) >= 1
    assert steps["achieved_qps"].max() == pytest.approx(10.0, rel=0.05)


@given(st.lists(st.integers(-(10**12), 10**12) | st.integers(0, 50), max_size=60))
def test_grouping_is_that_of_unique(values: list[int]) -> None:
    array = np.array(values, dtype=np.int64)
    places, group = grouped(array)
    expected, inverse = np.unique(array, return_inverse=True)
    assert places.tolist() == expected.tolist()
    assert group.tolist() == inverse.tolist()


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 200)), min_size=1, max_size=40))
def test_users_by_second_are_those_alive_in_it(lives: list[tuple[int, int]]) -> None:
    found = Lifetimes()
    found.came(np.array([float(a) for a, _ in lives]))
    found.went(np.array([float(a + n) for a, n in lives]))
    second, users = found.by_second(from_s=0.0, until_s=500.0)
    for at, count in zip(second.tolist(), users.tolist(), strict=True):
        assert count == pytest.approx(sum(1 for a, n in lives if a <= at < a + n))
    assert {s for a, n in lives for s in range(a, a + n)} <= set(second.tolist())


def test_a_user_who_never_went_does_not_fill_a_calendar() -> None:
    found = Lifetimes()
    found.came(np.linspace(-9e10, 9e10, 2000))
    second, _ = found.by_second(from_s=-9e10, until_s=9e10)
    assert len(second) <= 2000 * 60


def test_users_of_generators_add_up_and_hold_between_numbers() -> None:
    count = UserCount()
    for source in ("a", "b"):
        count.add(source, np.array([0, 10, 500]), np.array([1.0, np.nan, 5.0]))
    second, users = count.by_second()
    assert second.tolist() == [0, 500]
    assert users.tolist() == [2.0, 10.0]


@pytest.mark.parametrize("ramp", [np.arange(1.0, 100.0), np.repeat(np.arange(1.0, 20.0), 3), np.full(60, 7.0)])
def test_ramps_and_held_numbers_are_closed(ramp: np.ndarray) -> None:
    assert model_of(ramp) == "closed"
    assert model_of(ramp[::-1]) == "closed"
    assert model_of(np.concatenate([ramp, ramp[::-1]])) == "closed"


def test_what_was_added_between_readings() -> None:
    at = np.array([0.5, 2.5, 4.5, 200.0, 202.0])
    second, added = by_second(at, {"x": np.array([4.0, 8.0, 1e6, 2.0])}, np.zeros(4, dtype=bool))
    assert second.tolist() == [1, 2, 3, 4, 200, 201]
    # Half of the fourth second lies in a pause, through which nothing is known.
    np.testing.assert_array_equal(added["x"], [2.0, 3.0, 4.0, np.nan, 1.0, 1.0])
    users = held_by_second(at, np.array([1.0, 1.0, 2.0, 2.0, 2.0]), second)
    np.testing.assert_array_equal(users, [1.0, np.nan, np.nan, np.nan, 2.0, 2.0])


def test_rows_that_are_not_even_keep_their_own_times() -> None:
    at = np.array([0.0, 1.0, 2.0, 60.0, 61.0])
    assert evenly_read(at).tolist() == [0.5, 1.5, 2.5, 60.5, 61.5]
