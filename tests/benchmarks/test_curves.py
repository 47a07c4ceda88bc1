"""The benchmark of many curves: small, but the same way through."""

import numpy as np

from benchmarks import curves, tested_services


def test_both_sides_estimate_the_same_peaks() -> None:
    table = curves.compare("usl", count=12, few=2).set_index("method")
    assert table.loc["curve_fit, bounded", "median difference of the peak"] < 1e-4
    assert table.loc["capacity", "services"] == 12
    assert (table["median error of the peak"] < 0.05).all()


def test_the_loop_judges_families_as_ours_does() -> None:
    services = curves.simulate(6, families=("usl", "pool", "mmc"), seed=3)
    own = curves.ours(services, None)
    theirs = curves.loop(curves.Services(services.throughput[:1], services.peak[:1]), None, bounded=True)
    assert np.isfinite(own.to_numpy()).all()
    np.testing.assert_allclose(theirs["peak"], own["peak"][:1], rtol=0.02)


def test_tested_services_are_measured() -> None:
    said = tested_services.run(count=4, n_samples=50)
    assert "4 services with one run of 12 steps" in said
    assert "4 services: 4 measured" in said
