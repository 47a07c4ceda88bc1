"""Companies that several tests look at; making one takes seconds."""

import pytest

from capacity.demo import Company, make_company


@pytest.fixture(scope="session")
def company() -> Company:
    return make_company(0)


@pytest.fixture(scope="session")
def other_company() -> Company:
    return make_company(7)
