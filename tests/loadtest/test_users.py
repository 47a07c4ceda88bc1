"""Whether a number of users was set, or came of arrivals."""

import numpy as np
import pytest

from capacity.loadtest.users import model_of


@pytest.mark.parametrize("held_s", [8, 12, 30])
def test_users_who_leave_between_short_steps_were_set(held_s: int) -> None:
    """As JMeter's thread groups one after another: threads that begin and end make a number rise and fall."""
    steps = [np.array([0.6 * n, *([float(n)] * held_s), 0.4 * n, 0.0]) for n in (8, 24, 40, 56, 80, 128)]
    assert model_of(np.concatenate(steps)) == "closed"


@pytest.mark.parametrize("mean", [3.0, 20.0, 150.0])
def test_a_number_under_way_that_wavers_came_of_arrivals(mean: float) -> None:
    rng = np.random.default_rng(3)
    under_way = np.concatenate([rng.poisson(mean * k, 30) for k in (1, 2, 3)]).astype(float)
    assert model_of(under_way) == "open"
