"""`rehearse`: play sampled futures against a plan, with faults."""

from collections.abc import Sequence

import numpy as np

from capacity.errors import InputError, UsageError
from capacity.plan import Plan
from capacity.plan.sizing import Floats, Ints
from capacity.rehearsal.build import VARIANTS, LimitVariant, build_world, fleet_of, need_inputs
from capacity.rehearsal.causes import Scene
from capacity.rehearsal.faults import Faults, parse_faults
from capacity.rehearsal.findings import (
    find_breaks,
    first_to_break,
    say_breaks,
    say_switches,
    say_tries,
    say_turned_away,
    say_verdict,
)
from capacity.rehearsal.result import Rehearsal
from capacity.rehearsal.script import build_script, serving
from capacity.rehearsal.simulate import simulate
from capacity.rehearsal.stage import Stage, set_stage
from capacity.rehearsal.tables import break_frame, timeline_frame, tried_frame
from capacity.rehearsal.tries import Tried, accepted_shares, try_changes

_PATHS, _FEWEST_PATHS = 100, 2
_MOST_STATES = 100_000  # futures × services
_MOST_ARRIVALS = 100_000_000  # futures × entries × seconds: 0.8 GB


def rehearse(
    plan: Plan,
    *,
    faults: Sequence[str] = (),
    n_paths: int | None = None,
    seed: int = 0,
    limits: LimitVariant = "cluster",
    skew: float = 0.0,
    noise: bool = True,
    mend: bool = True,
) -> Rehearsal:
    """Play futures second by second against the plan's instances, limits and switches.

    Parameters
    ----------
    plan : Plan
        With its samples.
    faults : sequence of str
        ``NAME[=SERVICE][:FACTOR][@WHEN][/SECONDS]``, several at once: ``zone-loss[=ZONES]``,
        ``slow-downstream=SERVICE[:FACTOR]``, ``third-party-down=SERVICE``, ``cold-cache[=SERVICE]``,
        ``retry-storm[=SERVICE][:FACTOR]``, ``limiter-loss[=SERVICE]``, ``demand=FACTOR``, ``late-scale-up[=SERVICE]``,
        ``hot-key[=SERVICE][:FACTOR]``. ``@WHEN`` is ``peak``, ``start``, ``peak-60`` or seconds after the start: see
        `capacity.rehearsal.faults`.
    n_paths : int, optional
        Futures to play, drawn without replacement from the plan's samples. 100 when left out, fewer where thousands
        of services would not fit a machine.
    seed : int
        Of that draw and of the counts' wobble.
    limits : {"cluster", "instance", "instance-and-cluster", "none"}
        Which are enforced besides those of callers and hot keys: one bucket a service; one an instance, of the variant
        that is safe alone; one an instance of the variant that rejects nothing falsely, with the cluster's; none.
    skew : float
        Of the traffic over instances, from 0 to 1: the fullest third of them gets 1 + skew times the mean.
    noise : bool
        Whether arrivals wobble as counts do.
    mend : bool
        Whether changes of the plan are tried when something breaks.

    Returns
    -------
    Rehearsal

    Raises
    ------
    UsageError
        If a fault cannot be read, or a variant of limits is not known.
    InputError
        If the plan was read without its samples, or no path is asked for.

    Notes
    -----
    What is played: half an hour around the worst second, every other phase's worst minutes, and two minutes around each
    phase's start, scale step and planned switch (`capacity.rehearsal.stage`). A fluid model in steps of one second
    (`capacity.rehearsal.simulate`): it finds overload, backlog, retry storms and their spread; it does not resolve
    single requests, for which the timeline adds the M/M/c wait, instances as servers (`capacity.rehearsal.waits`).
    Left out, and said in ``why``: a slow callee spreads through time-outs and retries, but holds none of its caller's
    threads; calls through queues are not limited; queues and retries end where a stretch does.
    """
    _peaks, _, services = need_inputs(plan)
    _check(n_paths, limits, skew)
    found = parse_faults(faults, services=services.names)
    sample, stage = _choose(plan, found, n_paths=n_paths, seed=seed)
    scene = _play(plan, found, stage, sample, limits=limits, skew=skew, noise=noise, seed=seed)
    fleet, trace, core = scene.fleet, scene.trace, scene.world.core
    breaks = find_breaks(scene)
    first = first_to_break(trace)
    known = core & fleet.is_known
    unknown = [fleet.names[s] for s in np.flatnonzero(core & ~fleet.is_known)]
    overload = None if unknown else float(trace.overloaded[:, core].any(axis=1).mean())
    tried: tuple[Tried, ...] = try_changes(plan, scene, first) if mend and first is not None else ()
    accepted = {name: accepted_shares(plan)[int(fleet.tier[s])] for s, name in enumerate(fleet.names)}
    first_name = None if first is None else fleet.names[first]
    why = [
        say_verdict(
            overload=overload, promised=plan.document["core_overload_probability"], unknown=unknown, paths=len(sample)
        ),
        say_turned_away(fleet, trace),
        *say_breaks(breaks, first=first_name, unknown=bool(unknown), accepted=accepted),
        *(say_tries(str(first_name), tried, currency=plan.document["cost"]["currency"]) if mend and first_name else []),
        *say_switches(scene),
        _say_stage(stage),
        "not played: threads that a slow callee keeps its caller waiting with, limits on what goes through queues",
    ]
    return Rehearsal(
        promotion=plan.promotion_id,
        faults=tuple(faults),
        services=fleet.names,
        first_break=first_name,
        breaks=break_frame(breaks, tried, first=first_name),
        tried=tried_frame(tried),
        timeline=timeline_frame(scene),
        overload_fraction=overload,
        turned_away_fraction=float(trace.rejected[:, known].sum() / max(float(trace.arrived[:, known].sum()), 1e-9)),
        why=tuple(line for line in why if line),
        n_paths=len(sample),
        seed=seed,
    )


def _check(n_paths: int | None, limits: str, skew: float) -> None:
    if n_paths is not None and n_paths < 1:
        raise InputError(f"n_paths: got {n_paths}, expected at least 1")
    if limits not in VARIANTS:
        raise UsageError(f"limits: got {limits!r}, expected one of {', '.join(VARIANTS)}")
    if not 0.0 <= skew <= 1.0:
        raise UsageError(f"skew: got {skew}, expected 0 to 1")


def _choose(plan: Plan, faults: Faults, *, n_paths: int | None, seed: int) -> tuple[Ints, Stage]:
    """Draw the futures and set the stage; moments of faults belong to it."""
    peaks, _, services = need_inputs(plan)
    stage = set_stage(peaks, plan.document)
    moments = [fault.at.second(stage.worst_s) for fault in faults.found if fault.at is not None]
    away = [second for second in moments if second not in stage.seconds]
    if away:
        stage = set_stage(peaks, plan.document, also=away)
    paths = n_paths if n_paths is not None else _affordable(len(services), len(peaks.entries), stage.length)
    total = int(peaks.peak_qps.sizes["sample"])
    rng = np.random.default_rng(seed)
    return np.sort(rng.choice(total, size=min(paths, total), replace=False)), stage


def _play(
    plan: Plan, faults: Faults, stage: Stage, sample: Ints, *, limits: LimitVariant, skew: float, noise: bool, seed: int
) -> Scene:
    peaks, _, _ = need_inputs(plan)
    fleet = fleet_of(plan)
    world = build_world(plan, fleet, sample, faults, limits=limits, skew=skew)
    script = build_script(plan, fleet, stage, sample, faults, noise=noise, seed=seed)
    entries, origin = plan.document["services"], peaks.promotion.starts_at
    scheduled: Floats = np.stack([serving(entries[host], stage, origin) for host in fleet.pools], axis=1)
    return Scene(world, fleet, script, stage, faults, simulate(world, script), scheduled.astype(np.int64))


def _affordable(services: int, entries: int, seconds: int) -> int:
    """Futures that a machine can play at once: every second of every entry is held, and every service's state."""
    fit = min(_MOST_STATES // max(services, 1), _MOST_ARRIVALS // max(entries * seconds, 1))
    return int(np.clip(fit, _FEWEST_PATHS, _PATHS))


def _say_stage(stage: Stage) -> str:
    minutes = round(stage.length / 60)
    left = f"; {stage.left_out} changes of the schedule were left out for length" if stage.left_out else ""
    return (
        f"played: {minutes} min in {len(stage.starts)} stretches, each phase's worst and every change of the plan{left}"
    )
