"""Capacity at the latency objective for every service of the catalogue."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from capacity.catalog import Catalog, Service
from capacity.errors import UsageError
from capacity.lessons import Lessons
from capacity.loadtest import LoadTest, LoadTests
from capacity.saturation import rules
from capacity.saturation.combine import EnvironmentRatio, combine, environment_ratio, raise_to
from capacity.saturation.next_step import next_step
from capacity.saturation.production import Proven, proven
from capacity.saturation.result import Curves, samples_array
from capacity.saturation.runs import RunCapacity, beyond, limits_of, run_capacity, to_steps

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]

_LESSON = "instance_capacity_qps"


@dataclass
class _Answer:
    qps: Array
    evidence: str
    lower_qps: float = 0.0
    why: list[str] = field(default_factory=list)


def fit_saturation(
    load_tests: LoadTests | Sequence[LoadTest],
    services: Catalog,
    *,
    traffic: Any = None,
    lessons: Lessons | None = None,
    n_samples: int = 2000,
    seed: int = 0,
) -> Curves:
    """Say what one instance of every service can take while it keeps its objective.

    The answer is the rate at which every given part of the objective (p95, p99, errors) still holds, as samples: never
    the peak of a curve, never more than a stated rule beyond what was measured.

    Parameters
    ----------
    load_tests
        Runs that were read; those of services outside the catalogue are left out.
    services
        The catalogue, with objectives, versions and instance types.
    traffic
        A `Traffic`: its busiest intervals within the objective are lower bounds. None: production says nothing.
    lessons
        Corrections that reviews taught; those of ``instance_capacity_qps`` are applied to what tests say.
    n_samples, seed
        Number of samples and the seed; a service's samples depend on its name and the seed, not on its neighbours.

    Returns
    -------
    Curves

    Examples
    --------
    >>> from capacity.catalog import Catalog, Service
    >>> curves = fit_saturation([], Catalog.from_services([Service(name="a", tier="core")]), n_samples=10)
    >>> curves.evidence["a"], curves.next_step["a"]
    ('none', 'no load test: raise the load in small steps past the objective, in production, off-peak')
    """
    if n_samples < 1:
        raise UsageError(f"n_samples is {n_samples}, expected 1 or more")
    names = services.names
    runs = {name: _runs(load_tests, services[name], n_samples=n_samples, seed=seed) for name in names}
    ratio = environment_ratio(_pairs(runs))
    shown = _proven(traffic, services)
    corrections = lessons if lessons is not None else Lessons()
    answers: dict[str, _Answer] = {}
    for name in names:
        rng = np.random.default_rng([seed, zlib.crc32(name.encode()), 1])
        answer = _answer(services[name], runs[name], shown.get(name), ratio, n=n_samples, rng=rng)
        answers[name] = _learnt(answer, name, corrections, rng=rng)
    return Curves(
        services=names,
        instance_capacity_qps=samples_array(np.stack([a.qps for a in answers.values()], axis=1), names)
        if names
        else samples_array(np.empty((n_samples, 0)), names),
        evidence={s: a.evidence for s, a in answers.items()},
        lower_bound_qps={s: a.lower_qps for s, a in answers.items()},
        fits={s: curve for s, rs in runs.items() if (curve := _newest_curve(rs)) is not None},
        gates={s: tuple(g for r in rs for g in r.gates) for s, rs in runs.items() if rs},
        why={s: tuple(a.why) for s, a in answers.items()},
        next_step={s: next_step(services[s], runs[s], answers[s].evidence) for s in names},
        fixed_qps={s: float(q) for s in names if (q := services[s].max_qps) is not None},
        assumptions=_assumptions(services, runs, answers, ratio),
        points=_points(load_tests, services),
        limits={s: limits_of(services[s]) for s in names},
    )


def _runs(tests: Sequence[LoadTest], service: Service, *, n_samples: int, seed: int) -> list[RunCapacity]:
    found = []
    for test in tests:
        if test.service == service.name:
            rng = np.random.default_rng([seed, zlib.crc32(test.run.encode()), zlib.crc32(service.name.encode())])
            one = run_capacity(test, service, rng=rng, n_samples=n_samples)
            if one is not None:
                found.append(one)
    return found


def _pairs(runs: Mapping[str, list[RunCapacity]]) -> list[float]:
    """Log of production over other environments, for services measured in both."""
    pairs = []
    for own in runs.values():
        inside = [float(np.median(np.log(r.qps))) for r in own if r.production and r.evidence == "measured"]
        outside = [float(np.median(np.log(r.qps))) for r in own if not r.production and r.evidence == "measured"]
        if inside and outside:
            pairs.append(float(np.mean(inside) - np.mean(outside)))
    return pairs


def _proven(traffic: Any, services: Catalog) -> dict[str, Proven]:
    if traffic is None or getattr(traffic, "is_empty", False):
        return {}
    frame: pd.DataFrame = traffic.proven({name: services[name].slo for name in services.names})
    shown = {}
    for name, rows in frame.groupby("service", observed=True):
        if name not in services:
            continue
        service = services[str(name)]
        # More instances do not help it: what all of them served together is what it was seen to take.
        whole = rows["instances"] / service.instances if service.is_fixed else 1.0
        one = proven(rows.assign(qps_per_instance=rows["qps_per_instance"] * whole), service)
        if one is not None:
            shown[str(name)] = one
    return shown


def _answer(
    service: Service,
    runs: list[RunCapacity],
    shown: Proven | None,
    ratio: EnvironmentRatio,
    *,
    n: int,
    rng: np.random.Generator,
) -> _Answer:
    if service.max_qps is not None and (service.is_fixed or not runs):
        each = service.max_qps / service.instances
        said = f"max_qps {service.max_qps:g} in total" + (", its SLA" if service.third_party else "")
        return _Answer(np.full(n, each), "sla", each, [said])
    measured = [r for r in runs if r.evidence == "measured"]
    if measured:
        answer = _measured(measured, runs, ratio, rng=rng)
    elif runs:
        answer = _bounded(runs, ratio, rng=rng)
    elif shown is not None:
        qps = beyond(np.full(n, shown.qps), upper_qps=shown.upper_qps, rng=rng)
        return _Answer(qps, "production", shown.qps, [shown.says, "no load test says where it ends"])
    else:
        return _Answer(
            np.full(n, np.nan), "none", 0.0, ["no load test, no production traffic within the objective, no max_qps"]
        )
    return _above_production(answer, runs, shown, rng=rng)


def _measured(
    measured: list[RunCapacity], runs: list[RunCapacity], ratio: EnvironmentRatio, *, rng: np.random.Generator
) -> _Answer:
    qps, said = combine(measured, ratio=ratio, rng=rng)
    # What one night held, at one pace, is no surer than what all runs together say.
    lower = min(max((r.lower_qps for r in runs if r.production), default=0.0), float(np.quantile(qps, 0.05)))
    answer = _Answer(qps, "measured", lower, [w for r in measured for w in r.why] + list(said))
    for run in runs:
        if run.evidence == "bounded" and run.production and run.same_type:
            answer.qps, share = raise_to(answer.qps, run.lower_qps, upper_qps=run.upper_qps, rng=rng)
            if share > 0:
                answer.why.append(
                    f"{run.run} held {run.lower_qps:.4g} requests/s per instance: lower values are ruled out"
                )
    if not any(r.production for r in measured):
        answer.why.append(_outside(ratio))
    return answer


def _bounded(runs: list[RunCapacity], ratio: EnvironmentRatio, *, rng: np.random.Generator) -> _Answer:
    best = max(runs, key=lambda r: (r.production, r.lower_qps))
    qps, _ = combine([best], ratio=ratio, rng=rng)
    qps = np.minimum(qps, best.most_qps)
    # What held, held: in production nothing is below it but by the measurement's own noise.
    if best.production and best.same_type:
        qps = np.maximum(qps, 0.97 * best.lower_qps)
    answer = _Answer(qps, "bounded", best.lower_qps if best.production else 0.0, [w for r in runs for w in r.why])
    if not best.production:
        answer.why.append(_outside(ratio))
    return answer


def _outside(ratio: EnvironmentRatio) -> str:
    if ratio.services == 0:
        return "tested outside production only, and no service in both: the interval reaches lower"
    factor = f"{np.exp(ratio.mean):.2f}, the ratio of {ratio.services} services tested in both"
    return f"tested outside production only: multiplied by {factor}"


def _above_production(
    answer: _Answer, runs: list[RunCapacity], shown: Proven | None, *, rng: np.random.Generator
) -> _Answer:
    if shown is None:
        return answer
    if not any(r.same_type for r in runs):
        answer.why.append("production's lower bound is not used: the tests are of another instance type")
        return answer
    upper = min((r.upper_qps for r in runs), default=float("inf"))
    answer.qps, share = raise_to(answer.qps, shown.qps, upper_qps=max(upper, shown.upper_qps), rng=rng)
    if share > 0:
        answer.why.append(f"{shown.says}; {share:.0%} of the tests' distribution lay below and was raised")
    answer.lower_qps = max(answer.lower_qps, shown.qps)
    return answer


def _learnt(answer: _Answer, name: str, lessons: Lessons, *, rng: np.random.Generator) -> _Answer:
    if answer.evidence in ("sla", "none"):
        return answer
    for lesson in lessons.find(_LESSON, service=name):
        q = lesson.quantiles
        z = rng.standard_normal(len(answer.qps))
        up, down = np.log(q.q95 / q.q50) / 1.6449, np.log(q.q50 / q.q05) / 1.6449
        answer.qps = answer.qps * np.exp(np.log(q.q50) + z * np.where(z > 0, up, down))
        answer.why.append(f"lesson of {lesson.promotion}: multiplied by {q.q50:.3g} ({q.q05:.3g} to {q.q95:.3g})")
    return answer


def _newest_curve(runs: list[RunCapacity]) -> Any:
    return next((r.curve for r in reversed(runs) if r.curve is not None), None)


def _assumptions(
    services: Catalog, runs: Mapping[str, list[RunCapacity]], answers: Mapping[str, _Answer], ratio: EnvironmentRatio
) -> tuple[str, ...]:
    said: list[str] = []

    def add(text: str, names: list[str]) -> None:
        if names:
            shown = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
            said.append(f"{text}: {shown}")

    kinds = {k: [s for s, a in answers.items() if a.evidence == k] for k in ("bounded", "production", "none")}
    cpu = f"the whole CPU ({rules.CPU_CEILING:.0%} of it where only production is known)"
    beyond_rule = f"at most {rules.MOST_BEYOND - 1:.0%} above what was seen to hold, and not above {cpu}"
    add(f"capacity is quoted {beyond_rule}", kinds["bounded"] + kinds["production"])
    add("nothing is known of capacity", kinds["none"])
    single = [s for s, rs in runs.items() if len(rs) == 1]
    nights, machines = f"{rules.RUN_SPREAD:.1%}", f"{rules.INSTANCE_SPREAD:.1%}"
    add(f"one run only: nights are taken to differ by {nights}, instances by {machines}", single)
    if ratio.services == 0:
        outside = [s for s, rs in runs.items() if rs and not any(r.production for r in rs)]
        add(f"tested outside production only: may be up to about {2 * rules.NOT_PRODUCTION_LOSS:.0%} lower", outside)
    no_slo = [s for s, rs in runs.items() if rs and not services[s].slo.judges_latency]
    add(f"no latency objective: {rules.WITHOUT_SLO:.0%} of the largest throughput is taken as capacity", no_slo)
    closed = [s for s, rs in runs.items() if any("open queue" in w for r in rs for w in r.why)]
    add("tested with users who wait for answers: read as the open queue that production is", closed)
    return tuple(said)


def _points(tests: Sequence[LoadTest], services: Catalog) -> pd.DataFrame:
    import pandas as pd

    columns = ["service", "run", "is_open", "load", "achieved_qps", "p95_ms", "p99_ms", "verdict"]
    rows: list[list[Any]] = []
    for test in tests:
        usable = to_steps(test) if test.service in services else None
        if usable is None:
            continue
        worst = {g.step: g.verdict for g in test.gates if g.step is not None and g.verdict not in ("ok", "unknown")}
        frame = test.steps[["offered_qps" if usable.is_open else "concurrency", "achieved_qps", "p95_ms", "p99_ms"]]
        values = frame.to_numpy(dtype=float) / np.array([test.instances, test.instances, 1.0, 1.0])
        rows.extend(
            [test.service, test.run, usable.is_open, *v, worst.get(i, "ok")] for i, v in enumerate(values.tolist())
        )
    return pd.DataFrame(rows, columns=columns)
