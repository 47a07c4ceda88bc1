"""A small company of the second family; making it takes seconds."""

import pytest

from benchmarks.second_family import SecondCompany, make_second_company

# 11.11 in Singapore: nine services, no segments, a queue, a feature that can be switched off; much in little time.
SEED = 133


@pytest.fixture(scope="session")
def second_company() -> SecondCompany:
    return make_second_company(SEED)
