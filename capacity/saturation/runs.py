"""From one run to what it says of a service's capacity per instance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from capacity.catalog import Service
from capacity.loadtest import Gate, LoadTest
from capacity.saturation import rules
from capacity.saturation.bounds import beyond
from capacity.saturation.crossing import Crossing, slo_crossing
from capacity.saturation.fit import CurveFit, StackRow
from capacity.saturation.run_steps import cpu_bound, curve_points, to_steps
from capacity.saturation.stack import fit_stack
from capacity.saturation.steps import Steps

Array = NDArray[np.float64]


@dataclass(frozen=True)
class RunCapacity:
    """What one run says of the capacity of one instance.

    Attributes
    ----------
    run, evidence
        Name; ``measured`` when the end was seen inside the tested range, else ``bounded``.
    qps
        Samples (S,), before what is known of circumstances (environment, version, age).
    lower_qps, upper_qps
        Highest load that held, and the utilization law's bound (``inf`` where CPU is unknown).
    most_qps
        What the stated rule allows to be quoted where the end was not seen.
    spread
        Log standard deviation for what is this run's own: its night, its instances, its few steps.
    shared
        By cause, log standard deviation of what it has in common with other runs of the service that share the cause:
        the version, the instance type, being read through an open queue.
    losses
        By cause, scale of the half-normal by which it and others that share the cause may flatter.
    instances, version, mix
        What was under test, and the share of each kind of request.
    production
        Whether it ran in production.
    gates
        What speaks for and against it, the comparison with the catalogue included.
    why
        Sentences with the numbers that decided.
    curve
        Throughput against concurrency, where it is known.
    """

    run: str
    evidence: Literal["measured", "bounded"]
    qps: Array
    lower_qps: float
    upper_qps: float
    most_qps: float
    spread: float
    shared: Mapping[str, float]
    losses: Mapping[str, float]
    instances: int
    version: str | None
    mix: Mapping[str, float]
    production: bool
    same_type: bool
    started_s: float
    gates: tuple[Gate, ...]
    why: tuple[str, ...]
    curve: CurveFit | None


def run_capacity(
    test: LoadTest,
    service: Service,
    *,
    rng: np.random.Generator,
    n_samples: int,
    steps: Steps | None = None,
    curves: StackRow | None = None,
) -> RunCapacity | None:
    """Capacity per instance by one run; None where it has no usable step.

    ``steps`` and ``curves`` are the test's own, where they were read and fitted among many.
    """
    steps = to_steps(test) if steps is None else steps
    if steps is None:
        return None
    if curves is None:
        points = curve_points(steps)
        curves = StackRow(fit_stack(*(p[None] for p in points), family=None), 0) if points is not None else None
    limits = limits_of(service)
    run_sd = float(np.hypot(rules.RUN_SPREAD, rules.INSTANCE_SPREAD / np.sqrt(test.instances)))
    closed = None if steps.is_open else curves
    found = slo_crossing(steps, limits, run_sd=run_sd, rng=rng, n_samples=n_samples, curves=closed)
    upper = cpu_bound(steps)
    few = any(g.name == "too_few_steps" and g.verdict == "bounded" for g in test.gates)
    latency_unknown = bool(found.unmeasured) and len(found.unmeasured) == sum(p in limits for p in ("p95_ms", "p99_ms"))
    seen = found.seen.mean() >= 0.5
    more = beyond(found.qps, upper_qps=np.minimum(upper, found.most_qps), reached_qps=found.reached_qps, rng=rng)
    qps = np.where(found.seen, found.qps, more)
    most = rules.MOST_BEYOND * float(steps.good_qps.max())
    qps = np.minimum(qps, most)
    judged = found.limited_by in limits and not latency_unknown
    if not judged and (not service.slo.judges_latency or latency_unknown):
        qps = qps * np.where(found.seen, rules.WITHOUT_SLO, 1.0)
    evidence: Literal["measured", "bounded"] = "measured" if seen and not few and not latency_unknown else "bounded"
    compared = against_catalogue(test, service)
    unseen = not found.is_open and service.slo.error_fraction is not None
    shared = _shared(test, compared, is_open=found.is_open)
    losses = _losses(test, refusals_unseen=unseen)
    # What held in an open test held; a closed one is read through a model that may be wrong.
    lower = found.lower_qps * (1.0 if found.is_open else 1.0 - 2.0 * rules.CLOSED_SPREAD)
    return RunCapacity(
        run=test.run,
        evidence=evidence,
        qps=qps,
        lower_qps=lower,
        upper_qps=upper,
        most_qps=most,
        spread=_own_spread(few=few),
        shared=shared,
        losses=losses,
        instances=test.instances,
        version=test.version,
        mix=dict(test.mix or {}),
        production=test.is_production,
        same_type=not any(g.name == "instance_type_changed" for g in compared),
        started_s=test.started_at.timestamp() if test.started_at is not None else float("nan"),
        gates=(*test.gates, *compared),
        why=tuple(_why(test, service, found, evidence, upper, latency_unknown)),
        curve=found.curve or (curves.curve() if curves is not None else None),
    )


def limits_of(service: Service) -> dict[str, float]:
    """Take the parts of a service's objective that are given."""
    parts = {p: getattr(service.slo, p) for p in ("p95_ms", "p99_ms", "error_fraction")}
    return {p: float(v) for p, v in parts.items() if v is not None}


def against_catalogue(test: LoadTest, service: Service) -> tuple[Gate, ...]:
    """Gates for what was tested against what runs today."""
    gates: list[Gate] = []
    for name, tested, running in (
        ("version", test.version, service.version),
        ("instance_type", test.instance_type, service.instance_type),
    ):
        if tested and running and tested != running:
            says = f"tested {name.replace('_', ' ')} {tested}, running is {running}: its numbers are less sure"
            gates.append(Gate(f"{name}_changed", "flagged", None, None, says, "repeat the test with what runs"))
    return tuple(gates)


def _own_spread(*, few: bool) -> float:
    """Log standard deviation that other runs average out, beside what nights and instances put into the samples."""
    return rules.FEW_STEPS_SPREAD if few else 0.0


def _shared(test: LoadTest, gates: tuple[Gate, ...], *, is_open: bool) -> dict[str, float]:
    """By cause, log standard deviation that more runs of the same kind do not average out."""
    names = {g.name for g in gates}
    found = {f"version {test.version}": rules.VERSION_SPREAD} if "version_changed" in names else {}
    if "instance_type_changed" in names:
        found[f"instance type {test.instance_type}"] = rules.INSTANCE_TYPE_SPREAD
    return found if is_open else found | {"closed": rules.CLOSED_SPREAD}


def _losses(test: LoadTest, *, refusals_unseen: bool) -> dict[str, float]:
    """By cause, the half-normal scale by which the run may flatter."""
    found = {"mocked": rules.MOCKED_LOSS} if test.mocked else {}
    return found | ({"refusals": rules.CLOSED_LOSS} if refusals_unseen else {})


def _why(
    test: LoadTest, service: Service, found: Crossing, evidence: str, upper: float, latency_unknown: bool
) -> list[str]:
    unit = "requests/s per instance"
    said: list[str] = []
    if evidence == "measured":
        limit = (
            f"the {found.limited_by} limit was passed" if found.limited_by != "throughput" else "throughput stood still"
        )
        said.append(f"{test.run}: {limit} near {np.median(found.qps):.4g} {unit}, inside the tested range")
    else:
        said.append(f"{test.run}: {found.highest_good_qps:.4g} {unit} held; where it ends was not measured")
        if np.isfinite(upper):
            said.append(f"{test.run}: by the utilization law the whole CPU is busy at {upper:.4g} {unit}")
    if found.first_step_broke:
        said.append(f"{test.run}: already the lightest step broke the objective; lighter loads were not tried")
    if latency_unknown and service.slo.judges_latency:
        said.append(f"{test.run} recorded no latency, so the objective could not be judged")
    if np.isfinite(found.limit_users):
        at = f"{found.limit_users:.3g} users per instance, {found.limit_users_qps:.4g} {unit}"
        said.append(f"{test.run}: with users who wait for answers the objective broke at {at}")
    if not found.is_open:
        said.append(
            f"{test.run}: users who wait for answers build no queue; read through an open queue, as production is"
        )
    if test.instances > 1:
        said.append(f"{test.run}: {test.instances} instances together, divided evenly")
    return said
