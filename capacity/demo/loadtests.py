"""Load tests: what a tool would have measured on instances of the true process, and what people did wrong."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from capacity.demo.events import ZONE, seconds_of
from capacity.demo.instance import Instance
from capacity.demo.parameters import Parameters
from capacity.demo.randomness import nice, stream
from capacity.demo.services import UNTESTED, TrueService

Array = NDArray[np.float64]
COLUMNS = (
    *("offered_qps", "achieved_qps", "concurrency", "p50_ms", "p95_ms", "p99_ms"),
    *("error_fraction", "cpu_fraction", "seconds"),
)
DEFECTS = ("stops early", "not production", "errors counted", "too few steps", "generator saturated")
_MAY_BE_DEFECTIVE = ("search", "recommend", "pricing", "promotion-engine", "coupon", "fulfilment", "inventory", "cart")
_FIRST_NIGHT = datetime(2026, 9, 8, 2, 0, tzinfo=ZONE)
VERSION = "2026.10.3"


@dataclass(frozen=True)
class Run:
    """One run: what run.yaml says, the steps, and how far its numbers are from the truth.

    Parameters
    ----------
    defect
        One of `DEFECTS`, or empty.
    speed
        True throughput of the instances tested over that of today's production instances.
    """

    name: str
    service: str
    started_at: datetime
    environment: str
    version: str
    instances: int
    instance_type: str
    target_qps: float
    mocked: tuple[str, ...]
    closed: bool
    defect: str
    speed: float
    steps: Array

    @property
    def duration_s(self) -> float:
        """Length of all steps."""
        return float(self.steps[:, -1].sum())

    def to_csv(self) -> str:
        """Write the steps in the plain form of `tool: csv`."""
        digits = (1, 1, 1, 1, 1, 1, 5, 3, 0)
        lines = [",".join(COLUMNS)]
        for step in self.steps:
            cells = ["" if np.isnan(v) else f"{v:.{d}f}" for v, d in zip(step, digits, strict=True)]
            lines.append(",".join(cells))
        return "\n".join(lines) + "\n"


def draw_runs(parameters: Parameters, services: Mapping[str, TrueService]) -> tuple[Run, ...]:
    """Run the company's load tests: one a service in the weeks before October 20, some older, one after.

    Examples
    --------
    >>> from capacity.demo.parameters import draw_parameters
    >>> from capacity.demo.services import draw_services
    >>> runs = draw_runs(draw_parameters(0), draw_services(draw_parameters(0)))
    >>> sorted({run.defect for run in runs if run.defect}) == sorted(DEFECTS)
    True
    """
    rng = stream(parameters.seed, "load tests")
    chosen = rng.permutation(_MAY_BE_DEFECTIVE)[: len(DEFECTS)]
    defects = {str(name): defect for name, defect in zip(chosen, DEFECTS, strict=True)}
    runs = []
    tested = [name for name in services if name != UNTESTED]
    for k, name in enumerate(tested):
        night = _FIRST_NIGHT + timedelta(days=3 * k)
        runs.append(_run(parameters, services[name], night, defects.get(name, "")))
    early = str(chosen[0])
    runs.append(_run(parameters, services["checkout"], datetime(2026, 5, 20, 2, 0, tzinfo=ZONE), "", old=True))
    runs.append(_run(parameters, services[early], datetime(2026, 10, 28, 2, 0, tzinfo=ZONE), ""))
    return tuple(sorted(runs, key=lambda run: run.started_at))


def _run(parameters: Parameters, service: TrueService, night: datetime, defect: str, *, old: bool = False) -> Run:
    name = service.spec.name
    rng = stream(parameters.seed, "load test", name, night.date().isoformat())
    instances, closed = int(rng.choice([2, 3, 4, 6])), bool(rng.random() < 0.35)
    if defect in ("errors counted", "generator saturated"):
        closed = False
    speed = 1.0
    if defect == "not production":
        speed = float(np.exp(rng.normal(0, 0.25)))
    elif old:
        speed = float(rng.uniform(0.86, 0.97))
    share = _staircase(rng, defect)
    play = _closed_steps if closed else _open_steps
    steps = play(rng, service.instance, share, instances, speed)
    if defect == "errors counted":
        steps[:, 1] = steps[:, 1] / (1 - steps[:, 6])
    if defect == "generator saturated":
        steps = _saturate(steps, 0.72 * service.instance.peak_throughput * instances, rng)
    return Run(
        name=f"{night.date().isoformat()}-{name}",
        service=name,
        started_at=night,
        environment="staging" if defect == "not production" else "production",
        version="2026.5.1" if old else VERSION,
        instances=instances,
        instance_type=service.spec.instance_type,
        target_qps=nice(float(share.max()) * service.instance.peak_throughput * instances),
        mocked=("payco-gateway", "fulfilment") if name == "checkout" else (),
        closed=closed,
        defect=defect,
        speed=speed,
        steps=steps,
    )


def _staircase(rng: np.random.Generator, defect: str) -> Array:
    """Offered load of the steps as shares of the largest throughput."""
    if defect == "stops early":
        return np.linspace(0.12, rng.uniform(0.43, 0.52), 7)
    if defect == "too few steps":
        return np.array([0.30, 0.65, 1.04])
    if defect == "generator saturated":
        return np.linspace(0.15, 1.1, 11)
    rough = np.linspace(0.15, 0.75, 5)
    fine = np.arange(0.80, rng.uniform(1.06, 1.16), 0.05)
    return np.concatenate([rough, fine])


def _open_steps(rng: np.random.Generator, instance: Instance, share: Array, instances: int, speed: float) -> Array:
    """Play an open generator: arrivals at a rate; latency and refusals from the stationary chain."""
    offered = share * instance.peak_throughput * instances
    each = offered / instances / speed  # a slower machine is the same machine in slower time
    latency, failing, inside = instance.table.at(each)
    seconds = np.full(len(share), float(rng.choice([120, 180, 300])))
    done = offered * (1 - failing)
    done *= 1 + rng.normal(size=len(share)) * np.sqrt(0.003**2 + 1 / (done * seconds))
    noise = rng.normal(size=latency.shape) * np.array([0.01, 0.02, 0.035])
    latency = np.sort(latency / speed * np.exp(noise), axis=1)
    inside = inside * instances * np.exp(0.006 * rng.normal(size=len(share)))
    failing = rng.poisson(failing * offered * seconds) / (offered * seconds)
    cpu = np.minimum(instance.cpu(done / instances / speed) * np.exp(0.012 * rng.normal(size=len(share))), 1.0)
    return np.column_stack([offered, np.minimum(done, offered), inside, latency, failing, cpu, seconds])


def _closed_steps(rng: np.random.Generator, instance: Instance, share: Array, instances: int, speed: float) -> Array:
    """Play a closed generator: so many users without pauses, spread evenly; throughput is the curve itself."""
    states = np.arange(1.0, instance.most + 1)
    curve = instance.throughput(states)
    top = int(curve.argmax())
    rising = np.interp(np.minimum(share, 0.97) * curve[top], curve[: top + 1], states[: top + 1])
    beyond = np.maximum(share - 0.97, 0) * 6 * states[top]
    users = np.unique(np.maximum(np.rint((rising + beyond).clip(1, instance.most) * instances), 1))
    inside = users / instances
    seconds = np.full(len(users), float(rng.choice([120, 180, 300])))
    achieved = instance.throughput(inside) * instances * speed * (1 - instance.base_errors)
    achieved *= 1 + rng.normal(size=len(users)) * np.sqrt(0.004**2 + 1 / (achieved * seconds))
    noise = rng.normal(size=(len(users), 3)) * np.array([0.01, 0.02, 0.035])
    latency = np.sort(instance.quantiles_at(inside) / speed * np.exp(noise), axis=1)
    failing = rng.poisson(instance.base_errors * achieved * seconds) / (achieved * seconds)
    cpu = np.minimum(instance.cpu(achieved / instances / speed) * np.exp(0.012 * rng.normal(size=len(users))), 1.0)
    nothing = np.full(len(users), np.nan)
    return np.column_stack([nothing, achieved, users, latency, failing, cpu, seconds])


def _saturate(steps: Array, most: float, rng: np.random.Generator) -> Array:
    """Play a generator that cannot send more: offered grows on paper, the server sees the same load and stays flat."""
    over = steps[:, 0] > most
    last = steps[~over][-1]
    held = np.tile(last, (int(over.sum()), 1))
    held[:, 0] = steps[over, 0]
    held[:, 1:8] = last[1:8] * np.exp(0.006 * rng.normal(size=(len(held), 7)))
    held[:, 1] = most * np.exp(0.004 * rng.normal(size=len(held)))
    held[:, 2] = held[:, 1] * last[2] / last[1]
    return np.vstack([steps[~over], held])


def requests_of_tests(
    runs: tuple[Run, ...], downstream: Mapping[str, Mapping[str, float]]
) -> dict[tuple[int, str], tuple[float, float]]:
    """Sum the requests of production tests by hour (from the origin) and service, those to others included.

    Returns
    -------
    dict
        Requests in the hour, and the largest rate of a step.
    """
    found: dict[tuple[int, str], tuple[float, float]] = {}
    for run in runs:
        if run.environment != "production":
            continue
        hour = seconds_of(run.started_at) // 3600
        starts = np.concatenate([[0.0], np.cumsum(run.steps[:, -1])[:-1]])
        for name, per_request in downstream[run.service].items():
            if name in run.mocked:
                continue
            for begin, length, rate in zip(starts, run.steps[:, -1], run.steps[:, 1] * per_request, strict=True):
                key = (hour + int(begin // 3600), name)
                total, largest = found.get(key, (0.0, 0.0))
                found[key] = (total + float(rate * length), max(largest, float(rate)))
    return found
