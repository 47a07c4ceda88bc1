"""Load tests of the company: steps as different tools leave them, some of them defective."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import yaml
from numpy.typing import NDArray

from benchmarks.second_family.instances import Instance, TrueService
from benchmarks.second_family.setting import Setting, rng_of
from capacity.demo.randomness import nice

Array = NDArray[np.float64]
COLUMNS = "offered_qps,achieved_qps,concurrency,p50_ms,p95_ms,p99_ms,error_fraction,cpu_fraction,seconds"
_DIGITS = (2, 2, 2, 2, 2, 2, 6, 3, 0)

# Steps, seconds a step, and whether the generator is closed, as people use them: stages of constant arrivals (k6), a
# staircase of users (locust), one file a rate (vegeta), one run a number of connections (wrk), thread groups (JMeter).
TOOLS: dict[str, tuple[int, float, bool]] = {
    "k6": (8, 120.0, False),
    "locust": (16, 60.0, True),
    "vegeta": (10, 30.0, False),
    "wrk": (6, 30.0, True),
    "jmeter": (5, 300.0, True),
    "one run": (1, 600.0, False),
}


@dataclass(frozen=True)
class Run:
    """One run: its folder, what run.yaml says, its steps, and what is wrong with it."""

    name: str
    service: str
    started_on: date
    instances: int
    is_production: bool
    tool: str
    defect: str
    steps: Array

    def texts(self, offset: str) -> dict[str, str]:
        """Give run.yaml and steps.csv by file name."""
        described = {
            "service": self.service,
            "environment": "production" if self.is_production else "perf-lab",
            "instances": self.instances,
            "tool": "csv",
            "files": ["steps.csv"],
            "started_at": f"{self.started_on.isoformat()}T03:00{offset}",
        }
        if self.defect == "before scaling":
            described["approach"] = "before_scaling"
        rows = [
            ",".join("" if np.isnan(v) else f"{v:.{d}f}" for v, d in zip(step, _DIGITS, strict=True))
            for step in self.steps
        ]
        text = f"# {self.tool}, brought to the plain form\n{yaml.safe_dump(described, sort_keys=False)}"
        return {"run.yaml": text, "steps.csv": "\n".join([COLUMNS, *rows]) + "\n"}


def draw_runs(setting: Setting, services: Mapping[str, TrueService]) -> tuple[Run, ...]:
    """Draw the load tests: of 50 … 100 % of the services, most before the planning day, a quarter of them defective.

    Defects: stopped at 40 … 60 % of the largest throughput; ran in a laboratory of another speed (σ 25 %); has one
    step; or ran before the fleet was scaled.

    Examples
    --------
    >>> draw_runs(setting=None, services={})
    ()
    """
    runs = []
    for name, service in services.items():
        rng = rng_of(setting, "load test", name)
        if rng.random() > 0.5 + 0.5 * rng_of(setting, "load tests").random():
            continue
        days = int(rng.integers(5, 120)) if rng.random() < 0.85 else -int(rng.integers(1, 10))
        runs.append(_run(rng, service, setting.as_of - timedelta(days=days)))
    return tuple(sorted(runs, key=lambda run: (run.started_on, run.name)))


def _run(rng: np.random.Generator, service: TrueService, day: date) -> Run:
    tool = str(rng.choice(list(TOOLS), p=[0.3, 0.25, 0.15, 0.1, 0.15, 0.05]))
    defect = ""
    if rng.random() < 0.25:
        defect = str(rng.choice(["stops early", "laboratory", "before scaling"]))
    defect = "one step" if tool == "one run" else defect
    count, seconds, closed = TOOLS[tool]
    top = rng.uniform(0.40, 0.60) if defect in ("stops early", "one step") else rng.uniform(0.96, 1.12)
    share = np.linspace(top / count, top, count) if count > 1 else np.array([top])
    speed = float(np.exp(rng.normal(0, 0.25))) if defect == "laboratory" else 1.0
    instances = int(rng.integers(1, 6))
    steps = (_closed if closed else _open)(rng, service.instance, share, instances, speed, seconds)
    name = f"{day.isoformat()}-{service.name}"
    return Run(name, service.name, day, instances, defect != "laboratory", tool, defect, steps)


def _open(
    rng: np.random.Generator, instance: Instance, share: Array, instances: int, speed: float, seconds: float
) -> Array:
    offered = np.array([nice(value, 3) for value in share * instance.largest * instances * speed])
    each = offered / instances / speed
    stable = np.minimum(each, 0.99 * instance.largest)
    latency, failing, inside = instance.table.at(stable)
    # Past the largest throughput the queue grows for as long as the step lasts.
    behind = np.maximum(each - stable, 0) * seconds / 2
    latency = latency + 1000 * (behind / instance.largest)[:, None]
    done = np.minimum(offered, stable * instances * speed) * (1 - failing)
    done = np.minimum(done * (1 + rng.normal(size=len(share)) * np.sqrt(0.003**2 + 1 / (done * seconds))), offered)
    return _measured(
        rng, instance, offered, done, (inside + behind) * instances, latency, failing, speed, instances, seconds
    )


def _closed(
    rng: np.random.Generator, instance: Instance, share: Array, instances: int, speed: float, seconds: float
) -> Array:
    states = np.arange(1.0, instance.most + 1)
    curve = instance.throughput(states)
    best = int(curve.argmax())
    rising = np.interp(np.minimum(share, 0.97) * curve[best], curve[: best + 1], states[: best + 1])
    users = np.unique(np.rint((rising + 5 * (share - 0.97).clip(0) * states[best]) * instances).clip(1))
    inside = users / instances
    done = instance.throughput(inside) * instances * speed * (1 - instance.base_errors)
    done = done * (1 + rng.normal(size=len(users)) * np.sqrt(0.003**2 + 1 / (done * seconds)))
    sigma = np.sqrt(np.log1p(instance.variation**2 / np.maximum(inside / instance.servers, 1)))
    mean = inside / instance.throughput(inside)
    latency = 1000 * mean[:, None] * np.exp(sigma[:, None] * np.array([0.0, 1.645, 2.326]) - sigma[:, None] ** 2 / 2)
    errors = np.full(len(users), instance.base_errors)
    return _measured(
        rng, instance, np.full(len(users), np.nan), done, users, latency, errors, speed, instances, seconds
    )


def _measured(
    rng: np.random.Generator, instance: Instance, offered: Array, done: Array, inside: Array, latency: Array,
    failing: Array, speed: float, instances: int, seconds: float,
) -> Array:  # fmt: skip
    """Put the columns together with the noise of measuring: 1 to 3 % on latency, 1.5 % on CPU, counting on errors."""
    count = len(done)
    latency = np.sort(latency / speed * np.exp(rng.normal(size=(count, 3)) * np.array([0.01, 0.02, 0.03])), axis=1)
    total = np.where(np.isnan(offered), done, offered) * seconds
    errors = rng.poisson(failing * total) / total
    cpu = instance.cpu(done / instances / speed) * np.exp(0.015 * rng.normal(size=count))
    # An open generator measures what is inside; a closed one sets it.
    inside = np.where(np.isnan(offered), inside, inside * np.exp(0.005 * rng.normal(size=count)))
    return np.column_stack([offered, done, inside, latency, errors, np.minimum(cpu, 1), np.full(count, seconds)])
