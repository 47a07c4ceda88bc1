"""The captured service of known truth, rehearsed from its fitted curve: its plateau."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.known_service import write_runs
from capacity.catalog import Catalog, Service
from capacity.loadtest import read_load_tests
from capacity.plan import make_plan
from capacity.rehearsal import rehearse
from capacity.rehearsal.simulate import simulate
from capacity.saturation import fit_saturation
from capacity.settings import Risk
from tests.rehearsal.worlds import script, world

PLATEAU = 147.6  # requests/s that all six tools saw


@pytest.fixture(scope="module")
def curves(shared_data: Path, tmp_path_factory: pytest.TempPathFactory):
    target = tmp_path_factory.mktemp("loadtests")
    write_runs(shared_data / "loadtests", target, tools=["locust", "vegeta"])
    runs = read_load_tests(target, timezone="UTC")
    catalog = Catalog.from_services(
        [Service.model_validate({"name": "work", "tier": "core", "slo": {"p95_ms": 300.0}, "entry": {"per_dau": 1.0}})]
    )
    return {run.tool: fit_saturation([run], catalog) for run in runs}, catalog


def test_flooded_it_serves_its_plateau(curves):
    """The curve is that of the closed test: what it ever serves, whoever still waits for it."""
    fit = curves[0]["locust"].fits["work"]
    found = simulate(world([], [fit.peak_throughput], size=1), script(np.full(100, 200.0), size=1))
    assert found.timeline["served"][-1, 1, 0] == pytest.approx(PLATEAU, rel=0.05)
    assert found.broken.all()


def test_a_plan_of_it_rehearsed_above_its_plateau_serves_it(curves, bench):
    """More than its plateau is offered to each of two instances without limits; the curve is that of the open test.

    From the closed test the plan takes what it serves at its objective, 6 % below the plateau: then so does this.
    """
    fitted, catalog = curves[0]["vegeta"], curves[1]
    n = fitted.instance_capacity_qps.sizes["sample"]
    two = Catalog.from_services([catalog["work"].model_copy(update={"instances": 2, "max_instances": 2})])
    peaks = bench.peaks_of(two, {"work": 2.2 * PLATEAU}, n=n, sd=0.01)
    plan = make_plan(peaks, fitted, services=two, risk=Risk(zone_losses=0))
    found = rehearse(plan, limits="none", n_paths=50, mend=False)
    served = found.timeline["served_q50"].max() / 2
    assert served == pytest.approx(float(np.median(fitted.instance_capacity_qps.to_numpy())), rel=0.02)
    assert served == pytest.approx(PLATEAU, rel=0.05)
