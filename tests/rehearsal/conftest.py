"""The plan tests' stand-ins, for a whole plan to rehearse."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from capacity.plan import make_plan
from capacity.settings import Risk


def _load():
    path = Path(__file__).resolve().parents[1] / "plan" / "conftest.py"
    spec = importlib.util.spec_from_file_location("plan_stand_ins", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["plan_stand_ins"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def bench():
    return _load().Bench()


@pytest.fixture(scope="session")
def plan(bench):
    catalog = bench.shop()
    peaks = bench.peaks_of(catalog, bench.entry_qps, n=1000)
    return make_plan(peaks, bench.curves_of(catalog, bench.capacity, n=1000), services=catalog, risk=Risk())


@pytest.fixture
def rng():
    return np.random.default_rng(0)
