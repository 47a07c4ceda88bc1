"""The generated Locust file, run for real against a service with a known knee, and read back."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from capacity.catalog import Catalog, Service
from capacity.export import locust_file
from capacity.loadtest import read_load_test
from capacity.saturation import fit_saturation
from capacity.saturation.erlang import erlang_c
from capacity.staircase import Staircase
from capacity.staircase.rules import stop_rules
from tests.export.knee import SLOTS, KneeService, capacity_qps, latencies_s

SERVICE = Service.model_validate(
    {"name": "knee's", "tier": "core", "slo": {"p95_ms": 200.0, "error_fraction": 0.01}, "instances": 1}
)
# Long enough near the end for a percentile whose requests share a queue; the last one breaks the objective.
STEPS = {80.0: 4.0, 124.0: 7.0, 145.0: 12.0, 160.0: 24.0, 172.0: 24.0, 182.0: 20.0}

# A third of a request's time: shorter pauses move a percentile by less than what is asked of the capacity.
STOOD_STILL_S = 0.03


@pytest.fixture(scope="session")
def locust() -> str:
    """The program, from this environment or the path."""
    beside = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    found = shutil.which("locust", path=beside)
    if found is None:
        pytest.skip("locust is not installed: `make test` installs it with the development tools")
    return found


def run(locust: str, folder: Path, service: KneeService, steps: dict[float, float]) -> subprocess.CompletedProcess[str]:
    rules = stop_rules(SERVICE, max(steps))
    test = Staircase(SERVICE.name, 1, max(steps), tuple(steps), tuple(steps.values()), rules, (), warm_up_s=2.0)
    (folder / "locustfile.py").write_text(locust_file(test), encoding="utf-8")
    environment = os.environ | {
        "CAPACITY_OUT": str(folder / "run"), "CAPACITY_ENVIRONMENT": "production", "CAPACITY_SEED": "1",
    }  # fmt: skip
    command = [locust, "-f", "locustfile.py", "--headless", "--host", service.url, "--only-summary", "--csv", "history"]
    return subprocess.run(
        [*command, "--csv-full-history"], cwd=folder, env=environment, capture_output=True, text=True, timeout=150
    )


def undisturbed(locust: str, folder: Path) -> tuple[KneeService, subprocess.CompletedProcess[str], Path]:
    """Run until the machine did not stand still meanwhile: its pauses are no finding about the program."""
    worst = []
    for attempt in range(3):
        place = folder / f"attempt-{attempt}"
        place.mkdir()
        with KneeService() as service:
            done = run(locust, place, service, STEPS)
        worst.append(service.stood_still_s)
        if service.stood_still_s < STOOD_STILL_S:
            return service, done, place
    pytest.skip(
        f"needs a machine that does not stand still; it did for {1e3 * min(worst):.0f} ms in each of three runs"
    )


def test_capacity_is_read_back_within_five_percent(locust: str, tmp_path: Path) -> None:
    service, done, tmp_path = undisturbed(locust, tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    assert '"rule": "p95_ms"' in (tmp_path / "run" / "stop.json").read_text(encoding="utf-8")

    test = read_load_test(tmp_path / "run", timezone="UTC")
    assert (test.service, test.instances, test.environment) == (SERVICE.name, 1, "production")
    assert len(test.steps) < len(STEPS)  # the load was not raised after the objective had broken
    assert not test.excluded_steps  # Little's law holds in every step
    assert not test.generator_limited_steps

    curves = fit_saturation([test], Catalog.from_services([SERVICE]), n_samples=500)
    found = float(np.median(curves.instance_capacity_qps.to_numpy()))
    truth = capacity_qps(np.array(service.held_s), limit_s=0.200, share=0.95)
    assert curves.evidence[SERVICE.name] == "measured"
    assert found == pytest.approx(truth, rel=0.05)

    history = (tmp_path / "history_stats_history.csv").read_text(encoding="utf-8")
    assert {f"step-{k + 1:02d}" for k in range(len(test.steps))} <= set(history.replace(",", "\n").split("\n"))


def test_errors_end_it_at_once(locust: str, tmp_path: Path) -> None:
    with KneeService(failing=0.5) as service:
        done = run(locust, tmp_path, service, {60.0: 20.0, 70.0: 20.0})
    assert done.returncode == 1
    assert '"rule": "error_fraction"' in (tmp_path / "run" / "stop.json").read_text(encoding="utf-8")
    assert len(service.held_s) < 60 * 8  # in its first seconds


def test_the_truth_is_true() -> None:
    """The queue that the service is compared with, against the closed form of M/M/c."""
    mean_s, rate = 0.090, 150.0
    held = np.random.default_rng(5).exponential(mean_s, 20_000)
    offered = rate * float(held.mean())
    waits = float(erlang_c(SLOTS, offered)) / (SLOTS / float(held.mean()) - rate)
    assert latencies_s(rate, held).mean() == pytest.approx(waits + held.mean(), rel=0.05)
