"""What a rehearsal showed, in words: what breaks first, when, why, how far, whether it recovers, what mends it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from capacity.display.numbers import format_number, format_percent, format_seconds
from capacity.plan.fleet import Fleet
from capacity.rehearsal.causes import Scene, because, is_metastable, recovery, shed_to_qps, spread
from capacity.rehearsal.trace import Trace
from capacity.rehearsal.tries import Tried

_SAID = 5  # breaks that are told in words; the frame has all


@dataclass(frozen=True)
class Break:
    """How one service broke, over the futures played.

    Attributes
    ----------
    service : str
    share : float
        Of the futures.
    at_s : int
        Seconds after the start, in the middle future of those.
    because, recovers : str
    metastable : bool
    shed_to_qps : float
        Fresh demand below which it recovers, NaN where it does by itself.
    spread : tuple of (str, int)
        Services that failed with it, and how many seconds later.
    """

    service: str
    share: float
    at_s: int
    because: str
    recovers: str
    metastable: bool
    shed_to_qps: float
    spread: tuple[tuple[str, int], ...]


def find_breaks(scene: Scene) -> tuple[Break, ...]:
    """Every service that broke in some future, those which break most often first."""
    share = scene.trace.broken.mean(axis=0)
    order = [int(s) for s in np.argsort(-share, kind="stable") if share[s] > 0]
    return tuple(_break(scene, s, float(share[s])) for s in order)


def _break(scene: Scene, s: int, share: float) -> Break:
    stuck = is_metastable(scene, s)
    return Break(
        service=scene.fleet.names[s],
        share=share,
        at_s=int(scene.stage.seconds[scene.first(s)]),
        because=because(scene, s),
        recovers=recovery(scene, s),
        metastable=stuck,
        shed_to_qps=shed_to_qps(scene, s) if stuck else float("nan"),
        spread=spread(scene, s),
    )


def first_to_break(trace: Trace) -> int | None:
    """Return the service which is first to break in most futures with a break."""
    when = np.where(trace.first_break_s >= 0, trace.first_break_s, np.iinfo(np.int32).max)
    rows = trace.broken.any(axis=1)
    if not rows.any():
        return None
    return int(np.bincount(when[rows].argmin(axis=1), minlength=when.shape[1]).argmax())


def say_turned_away(fleet: Fleet, trace: Trace) -> str:
    """Which limits turn away how much of what arrives at them; empty when nothing is."""
    share = trace.rejected.sum(axis=0) / np.maximum(trace.arrived.sum(axis=0), 1e-9)
    at = [int(s) for s in np.argsort(-share, kind="stable")[:4] if share[s] > 1e-4]
    return (
        "limits turn away " + ", ".join(f"{format_percent(float(share[s]))} at {fleet.names[s]}" for s in at)
        if at
        else ""
    )


def say_moment(second: int) -> str:
    """Say a moment relative to the promotion's start.

    Examples
    --------
    >>> say_moment(-90), say_moment(5), say_moment(0)
    ('1 min 30 s before the start', '5 s after the start', 'at the start')
    """
    if second == 0:
        return "at the start"
    return f"{format_seconds(abs(second))} {'before' if second < 0 else 'after'} the start"


def say_switches(scene: Scene) -> list[str]:
    """Which features were switched off while it was played, when, and whether they came back."""
    out = []
    for name, on in scene.trace.switched_on_s.items():
        pulled = on >= 0
        if not pulled.any():
            continue
        seconds = scene.stage.seconds
        at = int(seconds[min(int(np.median(on[pulled])), len(seconds) - 1)])
        back = scene.trace.switched_back_s[name]
        again = (back >= 0) & pulled
        later = "stays off as long as that stretch is played"
        if again.mean() >= 0.5 * pulled.mean():
            later = f"is back {say_moment(int(seconds[min(int(np.median(back[again])), len(seconds) - 1)]))}"
        share = format_percent(float(pulled.mean()))
        out.append(f"{name} is switched off by its trigger in {share} of the futures, {say_moment(at)}, and {later}")
    return out


def say_verdict(*, overload: float | None, promised: float | None, unknown: Sequence[str], paths: int) -> str:
    """Say how often a core service is asked too much, or that it is unknown."""
    if unknown:
        names = ", ".join(unknown[:6]) + (f" and {len(unknown) - 6} more" if len(unknown) > 6 else "")
        return f"how often a core service is asked too much is unknown: nothing says what {names} can take"
    return (
        f"demand exceeds what a core service takes in {format_percent(overload)} of {paths} futures "
        f"(the plan says {format_percent(promised)} with its zone loss and without this rehearsal's other faults)"
    )


def say_breaks(
    breaks: Sequence[Break], *, first: str | None, unknown: bool, accepted: Mapping[str, float]
) -> list[str]:
    """Say every break, the first to come first; ``accepted`` is the share of futures that the risk allows each."""
    if not breaks:
        known = " of what has a known capacity" if unknown else ""
        return [f"nothing{known} breaks: what is let in is served in time"]
    told = sorted(breaks, key=lambda b: (b.service != first, -b.share))[:_SAID]
    lines = [_say(b, leads=b.service == first, accepted=accepted[b.service]) for b in told]
    if len(breaks) > _SAID:
        lines.append(
            f"{len(breaks) - _SAID} more services break, each in at most {format_percent(breaks[_SAID].share)}"
        )
    return lines


def _say(found: Break, *, leads: bool, accepted: float) -> str:
    far = "it stays there"
    if found.spread:
        names = ", ".join(f"{name} ({f'{delay} s later' if delay else 'at once'})" for name, delay in found.spread[:6])
        more = f" and {len(found.spread) - 6} more" if len(found.spread) > 6 else ""
        far = f"it reaches {names}{more}"
    head = f"first {found.service} breaks" if leads else f"{found.service} breaks"
    share = format_percent(found.share)
    within = f" (the plan accepts {format_percent(accepted)})" if found.share <= accepted else ""
    when = say_moment(found.at_s)
    return f"{head}, in {share} of the futures{within}, {when}: {found.because}; {far}; {found.recovers}"


def say_tries(service: str, tried: Sequence[Tried], *, currency: str) -> list[str]:
    """Say the cheapest change that mends, and what else was tried."""
    if not tried:
        return [f"no change of the plan that could mend {service} is known"]
    mending = [one for one in tried if one.mends]
    lines = []
    if mending:
        lines.append(f"mended most cheaply by: {_say_try(mending[0], currency)}")
    else:
        lines.append(f"none of {len(tried)} changes tried mends {service} for good; the plan needs more than one")
    rest = [one for one in tried if one is not (mending[0] if mending else None)]
    lines += [f"also tried, {'mends' if one.mends else 'does not mend'}: {_say_try(one, currency)}" for one in rest[:6]]
    return lines


def _say_try(one: Tried, currency: str) -> str:
    price = []
    if one.cost_per_hour is None:
        price.append("at a price to be negotiated")
    elif one.cost_per_hour > 0:
        price.append(f"{format_number(one.cost_per_hour)} {currency} an hour")
    if one.value_lost_per_hour > 0:
        price.append(f"{format_number(one.value_lost_per_hour)} {currency} of value lost an hour")
    if one.turned_away_requests > 0.5:
        price.append(f"{format_number(one.turned_away_requests)} more requests turned away")
    breaks = f"breaks in {format_percent(one.breaks)} instead of {format_percent(one.breaks_before)}"
    return f"{one.what} ({', '.join(price) or 'costs nothing'}; {breaks})"
