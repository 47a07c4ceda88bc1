"""`rehearse`: play sampled futures against a plan, with faults."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from capacity.display.numbers import format_number, format_percent
from capacity.errors import InputError
from capacity.plan import Plan
from capacity.plan.fleet import Fleet
from capacity.plan.sizing import Ints
from capacity.rehearsal.faults import Faults, parse_faults
from capacity.rehearsal.findings import Break, explain, extra_instances, find_breaks, say_turned_away
from capacity.rehearsal.result import Rehearsal
from capacity.rehearsal.script import Stage, build_script, build_world, fleet_of, need_inputs, set_stage, stronger
from capacity.rehearsal.simulate import Script, Trace, simulate
from capacity.rehearsal.waits import mean_wait_s
from capacity.rehearsal.world import World

_PATHS, _FEWEST_PATHS = 100, 2
_MOST_STATES = 100_000  # futures × services
_MOST_ARRIVALS = 100_000_000  # futures × entries × seconds: 0.8 GB


def rehearse(
    plan: Plan,
    *,
    faults: Sequence[str] = (),
    n_paths: int | None = None,
    seed: int = 0,
    limits: bool = True,
    noise: bool = True,
    prove: bool = True,
) -> Rehearsal:
    """Play futures second by second against the plan's instances, limits and switches.

    Parameters
    ----------
    plan : Plan
        With its samples.
    faults : sequence of str
        ``zone-loss``, ``slow-downstream=SERVICE``, ``cold-cache``, ``retry-storm``, ``limiter-loss``,
        ``third-party-down=SERVICE``, ``demand=FACTOR``, ``late-scale-up``, ``hot-key``; several at once add up.
    n_paths : int, optional
        Futures to play, drawn without replacement from the plan's samples. 100 when left out, fewer where thousands
        of services would not fit a machine.
    seed : int
        Of that draw and of the counts' wobble.
    limits : bool
        Whether limits are enforced.
    noise : bool
        Whether arrivals wobble as counts do.
    prove : bool
        Whether to play once more with the instances that the mends ask for.

    Returns
    -------
    Rehearsal

    Raises
    ------
    UsageError
        If a fault cannot be read.
    InputError
        If the plan was read without its samples, or no path is asked for.

    Notes
    -----
    Ten minutes before to twenty after the worst second, and ten minutes around the next phase's. A fluid model in
    steps of one second (`capacity.rehearsal.simulate`): it finds overload, backlog, retry storms and their spread; it
    does not resolve what happens within a second, for which the timeline adds the M/M/c wait, instances as servers.
    """
    peaks, _, services = need_inputs(plan)
    if n_paths is not None and n_paths < 1:
        raise InputError(f"n_paths: got {n_paths}, expected at least 1")
    found = parse_faults(faults, services=services.names)
    fleet = fleet_of(plan)
    rng = np.random.default_rng(seed)
    total = int(peaks.peak_qps.sizes["sample"])
    stage = set_stage(peaks)
    paths = n_paths if n_paths is not None else _affordable(len(services), len(peaks.entries), stage.length)
    sample = np.sort(rng.choice(total, size=min(paths, total), replace=False))
    world = build_world(plan, fleet, sample, found)
    script = build_script(plan, fleet, stage, sample, found, limits=limits, noise=noise, seed=seed)
    trace = simulate(world, script)
    breaks = find_breaks(world, fleet, trace, stage, faults=found)
    core = world.core & fleet.is_known
    turned = float(trace.rejected[:, core].sum() / max(float(trace.arrived[:, core].sum()), 1e-9))
    unknown = [fleet.names[s] for s in np.flatnonzero(world.core & ~fleet.is_known)]
    overload = None if unknown else float(trace.overloaded[:, core].any(axis=1).mean())
    return Rehearsal(
        promotion=plan.promotion_id,
        faults=tuple(faults),
        services=fleet.names,
        first_break=_first(trace, fleet),
        breaks=_frame(breaks),
        timeline=_timeline(world, fleet, trace, stage, script),
        overload_fraction=overload,
        turned_away_fraction=turned,
        why=explain(
            breaks,
            overload=overload,
            promised=plan.document["core_overload_probability"],
            unknown=unknown,
            paths=len(sample),
            turned_away=say_turned_away(fleet, trace),
            proof=_proof(world, fleet, trace, script, found, breaks) if prove else "",
        ),
        n_paths=len(sample),
        seed=seed,
    )


def _affordable(services: int, entries: int, seconds: int) -> int:
    """Futures that a machine can play at once: every second of every entry is held, and every service's state."""
    fit = min(_MOST_STATES // max(services, 1), _MOST_ARRIVALS // max(entries * seconds, 1))
    return int(np.clip(fit, _FEWEST_PATHS, _PATHS))


def _first(trace: Trace, fleet: Fleet) -> str | None:
    """Return the service which is first to break in most futures with a break."""
    when = np.where(trace.first_break_s >= 0, trace.first_break_s, np.iinfo(np.int64).max)
    rows = (trace.first_break_s >= 0).any(axis=1)
    if not rows.any():
        return None
    counts = np.bincount(when[rows].argmin(axis=1), minlength=len(fleet.names))
    return fleet.names[int(counts.argmax())]


def _proof(world: World, fleet: Fleet, trace: Trace, script: Script, faults: Faults, breaks: tuple[Break, ...]) -> str:
    """Play again with the instances that the mends ask for, and say what still breaks."""
    extra = extra_instances(world, fleet, trace, zone_loss=faults.zone_loss)
    if not breaks or not extra.any():
        return ""
    again = simulate(world, stronger(script, extra))
    before = float((trace.first_break_s >= 0).any(axis=1).mean())
    after = float((again.first_break_s >= 0).any(axis=1).mean())
    cost = float((fleet.cost * extra).sum())
    names = ", ".join(f"{fleet.pools[p]} +{int(extra[p])}" for p in np.flatnonzero(extra)[:8])
    return (
        f"played again with more instances ({names}; {format_number(cost)} an hour): something breaks in "
        f"{format_percent(after)} of the futures instead of {format_percent(before)}"
    )


def _frame(breaks: tuple[Break, ...]) -> Any:
    import pandas as pd

    columns = ["service", "share", "at_s", "because", "recovers", "spread", "mend"]
    rows = [[b.service, b.share, b.at_s, b.because, b.recovers, ", ".join(b.spread), b.mend] for b in breaks]
    return pd.DataFrame(rows, columns=columns)


def _timeline(world: World, fleet: Fleet, trace: Trace, stage: Stage, script: Script) -> Any:
    """Quantiles over the futures in ten-second bins, one row a bin and service."""
    import pandas as pd

    bins, _, size = trace.bins["demand"].shape
    at = stage.seconds[:: max(stage.length // bins, 1)][:bins]
    data: dict[str, Any] = {
        "seconds": np.repeat(at, size),
        "service": np.tile(np.array(fleet.names, dtype=object), bins),
    }
    for name, values in trace.bins.items():
        finite = np.where(np.isfinite(values), values, np.nan)  # an unknown capacity is unknown
        low, mid, high = np.quantile(finite, [0.05, 0.5, 0.95], axis=1)
        data |= {f"{name}_q05": low.ravel(), f"{name}_q50": mid.ravel(), f"{name}_q95": high.ravel()}
    data["wait_ms_q50"] = 1000.0 * _waits(world, script, trace, at_bins=bins).ravel()
    return pd.DataFrame(data)


def _waits(world: World, script: Script, trace: Trace, *, at_bins: int) -> "np.ndarray[Any, Any]":
    """Median wait: the backlog ÷ capacity, plus M/M/c with one server an instance."""
    step = max(script.instances.shape[0] // at_bins, 1)
    servers: Ints = script.instances[::step][:at_bins][:, world.pool]
    demand, capacity = (np.median(trace.bins[k], axis=1) for k in ("demand", "capacity"))
    backlog = np.median(trace.bins["backlog"], axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = np.where(np.isfinite(capacity), capacity, np.nan) / np.maximum(servers, 1)
        queued = backlog / capacity
        inside = mean_wait_s(demand, servers=np.maximum(servers, 1), server_rate=rate)
    return np.where(np.isfinite(inside), inside, 0.0) + np.where(np.isfinite(queued), queued, 0.0)
