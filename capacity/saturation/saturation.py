"""Capacity at the latency objective for every service of the catalogue."""

from __future__ import annotations

import zlib
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from capacity.catalog import Catalog
from capacity.errors import UsageError
from capacity.lessons import Lessons
from capacity.loadtest import Gate, LoadTest, LoadTests
from capacity.saturation import rules
from capacity.saturation.answers import Answer, answer_of, learnt
from capacity.saturation.combine import EnvironmentRatio, environment_ratio
from capacity.saturation.next_step import next_step
from capacity.saturation.pools import mixed_pools, pool_answers, production_mix
from capacity.saturation.production import Proven, proven, served
from capacity.saturation.result import Curves, samples_array
from capacity.saturation.runs import RunCapacity, limits_of
from capacity.saturation.tested import ReadTest, read_steps, run_capacities

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]


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
    read = read_steps(load_tests, services)
    runs = run_capacities(read, services, n_samples=n_samples, seed=seed)
    ratio = environment_ratio(_pairs(runs))
    shown = _proven(traffic, services)
    unseen = _served(traffic, services, without={name for name in names if runs[name]} | shown.keys())
    corrections = lessons if lessons is not None else Lessons()
    answers, gates = _pooled(services, runs, shown, ratio, traffic=traffic, n=n_samples, seed=seed)
    for name in names:
        rng = np.random.default_rng([seed, zlib.crc32(name.encode()), 1])
        if name not in answers:
            fleet = services[services.pool_of(name)].instances
            answers[name] = answer_of(
                services[name], runs[name], shown.get(name, unseen.get(name)), ratio, fleet=fleet, n=n_samples, rng=rng
            )
        answers[name] = learnt(answers[name], name, corrections, rng=rng)
    return Curves(
        services=names,
        instance_capacity_qps=samples_array(np.stack([answers[s].qps for s in names], axis=1), names)
        if names
        else samples_array(np.empty((n_samples, 0)), names),
        evidence={s: answers[s].evidence for s in names},
        lower_bound_qps={s: answers[s].lower_qps for s in names},
        fits={s: curve for s, rs in runs.items() if (curve := _newest_curve(rs)) is not None},
        gates=_gates(names, runs, answers, gates),
        why={s: tuple(answers[s].why) for s in names},
        next_step={s: next_step(services[s], runs[s], answers[s].evidence) for s in names},
        fixed_qps={s: float(q) for s in names if (q := services[s].max_qps) is not None},
        assumptions=_assumptions(services, runs, answers, ratio, [name for name in names if name in unseen]),
        points=_points(read),
        limits={s: limits_of(services[s]) for s in names},
        drift={s: d for s in names if (d := answers[s].drift) is not None},
        fleet_scaling={s: c for s in names if (c := answers[s].scaling) is not None},
    )


def _pooled(
    services: Catalog,
    runs: Mapping[str, list[RunCapacity]],
    shown: Mapping[str, Proven],
    ratio: EnvironmentRatio,
    *,
    traffic: Any,
    n: int,
    seed: int,
) -> tuple[dict[str, Answer], dict[str, tuple[Gate, ...]]]:
    """Answers and gates of the members of pools that were tested by mixes."""
    answers: dict[str, Answer] = {}
    gates: dict[str, tuple[Gate, ...]] = {}
    for pool in mixed_pools(services, runs).values():
        running = production_mix(traffic, pool)
        found, of_mixes = pool_answers(pool, services, shown, ratio, running=running, n=n, seed=seed)
        answers |= found
        gates |= dict.fromkeys(found, of_mixes)
    return answers, gates


def _gates(
    names: Sequence[str],
    runs: Mapping[str, list[RunCapacity]],
    answers: Mapping[str, Answer],
    of_mixes: Mapping[str, tuple[Gate, ...]],
) -> dict[str, tuple[Gate, ...]]:
    found = {}
    for name in names:
        drift = answers[name].drift
        own = [g for r in runs[name] for g in r.gates]
        found[name] = (*own, *of_mixes.get(name, ()), *([drift.gate] if drift is not None else []))
    return {name: gates for name, gates in found.items() if gates}


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


def _served(traffic: Any, services: Catalog, *, without: Collection[str]) -> dict[str, Proven]:
    """Read loads whose latency nobody recorded, for scaled services of which neither tests nor production say more."""
    names = [n for n in services.names if n not in without and not services[n].is_fixed and services[n].max_qps is None]
    if not names or traffic is None or getattr(traffic, "is_empty", False):
        return {}
    frame: pd.DataFrame = traffic.proven()
    parts = {str(name): rows for name, rows in frame.groupby("service", observed=True)}
    found = {name: served(parts[name], services[name]) for name in names if name in parts}
    return {name: one for name, one in found.items() if one is not None}


def _newest_curve(runs: list[RunCapacity]) -> Any:
    return next((r.curve for r in reversed(runs) if r.curve is not None), None)


def _assumptions(
    services: Catalog,
    runs: Mapping[str, list[RunCapacity]],
    answers: Mapping[str, Answer],
    ratio: EnvironmentRatio,
    unseen: list[str],
) -> tuple[str, ...]:
    said: list[str] = []

    def add(text: str, names: list[str]) -> None:
        if names:
            shown = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
            said.append(f"{text}: {shown}")

    kinds = {k: [s for s, a in answers.items() if a.evidence == k] for k in ("bounded", "production", "none")}
    cpu = f"the whole CPU ({rules.CPU_CEILING:.0%} of it where only production is known)"
    beyond_rule = f"at most {rules.MOST_BEYOND - 1:.0%} above what was seen to hold, and not above {cpu}"
    within = [name for name in kinds["production"] if name not in unseen]
    add(f"capacity is quoted {beyond_rule}", kinds["bounded"] + within)
    add("nothing is known of capacity", kinds["none"])
    add("nobody records latency: what was served with few errors is taken for capacity, or up to a third less", unseen)
    single = [s for s, rs in runs.items() if len(rs) == 1]
    nights, machines = f"{rules.RUN_SPREAD:.1%}", f"{rules.INSTANCE_SPREAD:.1%}"
    add(f"one run only: nights are taken to differ by {nights}, instances by {machines}", single)
    curved = [s for s, a in answers.items() if a.scaling is not None]
    alike = [s for s, rs in runs.items() if rs and not services[s].is_fixed and s not in curved]
    add("no fleets of widely different size were tested: n instances are taken to take n times one", alike)
    add("fleets of several sizes were tested: beyond the largest their own curve is extrapolated", curved)
    if ratio.services == 0:
        outside = [s for s, rs in runs.items() if rs and not any(r.production for r in rs)]
        add(f"tested outside production only: may be up to about {2 * rules.NOT_PRODUCTION_LOSS:.0%} lower", outside)
    no_slo = [s for s, rs in runs.items() if rs and not services[s].slo.judges_latency]
    add(f"no latency objective: {rules.WITHOUT_SLO:.0%} of the largest throughput is taken as capacity", no_slo)
    closed = [s for s, rs in runs.items() if any("open queue" in w for r in rs for w in r.why)]
    add("tested with users who wait for answers: read as the open queue that production is", closed)
    return tuple(said)


def _points(read: Sequence[ReadTest]) -> pd.DataFrame:
    import pandas as pd

    columns = ["service", "run", "is_open", "load", "achieved_qps", "p95_ms", "p99_ms", "verdict"]
    rows: list[list[Any]] = []
    for one in read:
        test, usable = one.test, one.steps
        worst = {g.step: g.verdict for g in test.gates if g.step is not None and g.verdict not in ("ok", "unknown")}
        frame = test.steps[["offered_qps" if usable.is_open else "concurrency", "achieved_qps", "p95_ms", "p99_ms"]]
        values = frame.to_numpy(dtype=float) / np.array([test.instances, test.instances, 1.0, 1.0])
        rows.extend(
            [test.service, test.run, usable.is_open, *v, worst.get(i, "ok")] for i, v in enumerate(values.tolist())
        )
    return pd.DataFrame(rows, columns=columns)
