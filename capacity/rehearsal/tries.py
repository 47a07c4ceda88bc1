"""Changes to the plan, tried for real: each is played again on some of the futures, with what it costs."""

from dataclasses import dataclass, replace

import numpy as np

from capacity.plan import Plan
from capacity.plan.sizing import Ints
from capacity.rehearsal.causes import Scene
from capacity.rehearsal.changes import Change, changes
from capacity.rehearsal.simulate import Script, simulate
from capacity.rehearsal.trace import Trace

_PATHS = 20  # futures a change is tried on: one of them is the 5 % that a plan usually accepts
_BEFORE_S, _AFTER_S = 60, 600  # around the first breaks: long enough to see whether they last
_SETTLES_S = 240  # after a fault is over: what is still broken then did not recover with it


@dataclass(frozen=True)
class Tried:
    """What a change did.

    Attributes
    ----------
    what : str
    mends : bool
        Whether the service, and every core service, then breaks in no more futures than the plan's risk allows.
    breaks, breaks_before : float
        Share of the futures tried in which the service or a core service breaks, with the change and without.
    cost_per_hour, value_lost_per_hour : float or None
    turned_away_requests : float
        More requests than before that are turned away where they enter, in the mean future of the stretch played.
    """

    what: str
    mends: bool
    breaks: float
    breaks_before: float
    cost_per_hour: float | None
    value_lost_per_hour: float
    turned_away_requests: float


def try_changes(plan: Plan, scene: Scene, s: int) -> tuple[Tried, ...]:
    """Try every change that might mend the break of a service, the cheapest that mends first.

    Cheapest: what turns nobody away comes before what does; then money and value lost an hour; what has to be
    negotiated has no price and comes last of its kind.
    """
    rows, span = _few(scene, s)
    world, script = scene.world.of_paths(rows), _part(scene.script, rows, span)
    before = simulate(world, script)
    base = _Judge(plan, scene, s, script, before)
    tried = []
    for change in changes(plan, scene, s, world, script):
        after = simulate(change.world, change.script)
        tried.append(base.judge(change, after))
    return tuple(sorted(tried, key=_price))


def _price(tried: Tried) -> tuple[bool, bool, bool, float, int, float, str]:
    more = tried.turned_away_requests > 0.5
    price = (tried.cost_per_hour or 0.0) + tried.value_lost_per_hour
    away = round(tried.turned_away_requests)
    return (not tried.mends, more, tried.cost_per_hour is None, price, away, tried.breaks, tried.what)


def accepted_shares(plan: Plan) -> tuple[float, float, float]:
    """Share of the futures in which the plan accepts an overload, by tier.

    Degradable services are sized for their middle future: half of the futures is what the plan accepts.
    """
    risk = plan.document["risk"]
    return float(risk["overload_probability"]), float(risk["non_core_overload_probability"]), 0.5


class _Judge:
    """Compares a change with none.

    Where a fault holds services for a while and they stay broken after it, a change has to make them recover; else it
    has to keep them from breaking at all.
    """

    def __init__(self, plan: Plan, scene: Scene, s: int, script: Script, before: Trace) -> None:
        allowed = accepted_shares(plan)
        self.allowed, self.allowed_core = allowed[int(scene.fleet.tier[s])], allowed[0]
        self.s, self.core, self.entries = s, scene.world.core, scene.world.entries
        self.before = before
        held = np.flatnonzero((script.capacity_factor < 1.0).any(axis=1))
        after = int(held[-1]) + _SETTLES_S if len(held) else -1
        stays = len(held) > 0 and float((before.last_break_s > after).any(axis=1).mean()) >= 0.5
        self.after = after if stays else -1

    def _shares(self, trace: Trace) -> tuple[float, float]:
        broken = trace.last_break_s > self.after
        return float(broken[:, self.s].mean()), float(broken[:, self.core].any(axis=1).mean())

    def judge(self, change: Change, after: Trace) -> Tried:
        own, core = self._shares(after)
        own_before, core_before = self._shares(self.before)
        mends = own <= self.allowed and core <= self.allowed_core and (own, core) != (own_before, core_before)
        away = (after.rejected - self.before.rejected)[:, self.entries].sum(axis=1).mean() + change.shed_requests
        return Tried(
            what=change.what,
            mends=bool(mends),
            breaks=max(own, core),
            breaks_before=max(own_before, core_before),
            cost_per_hour=change.cost_per_hour,
            value_lost_per_hour=change.value_lost_per_hour,
            turned_away_requests=max(float(away), 0.0),
        )


def _few(scene: Scene, s: int) -> tuple[Ints, slice]:
    """Futures that stand for all, by how hard they press the service; and the stretch in which it breaks."""
    rank = np.lexsort((scene.trace.broken_s[:, s], scene.trace.worst_ratio[:, s]))
    take = min(_PATHS, len(rank))
    rows = rank[((np.arange(take) + 0.5) / take * len(rank)).astype(np.int64)]
    if not scene.trace.broken[rows, s].any():
        rows[-1] = int(np.flatnonzero(scene.trace.broken[:, s])[0])
    first = scene.first(s)
    begin = int(scene.stage.starts[scene.stage.starts <= first][-1])
    earliest = int(scene.trace.first_break_s[scene.rows(s), s].min())
    span = slice(max(begin, earliest - _BEFORE_S), min(scene.stage.end_of(first), first + _AFTER_S))
    return np.sort(rows), span


def _part(script: Script, rows: Ints, span: slice) -> Script:
    return replace(
        script,
        arrivals=script.arrivals[rows][:, :, span],
        instances=script.instances[span],
        capacity_factor=script.capacity_factor[span],
        warmth=script.warmth[span],
        seconds=script.moments[span],
        limited=None if script.limited is None else script.limited[span],
    )
