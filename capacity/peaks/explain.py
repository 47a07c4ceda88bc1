"""In words: what each service's peak rests on, how thin that is, and what would narrow it."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from capacity.peaks import priors
from capacity.peaks.picture import Picture
from capacity.peaks.priors import Floats
from capacity.peaks.taught import Shifts

if TYPE_CHECKING:
    from capacity.peaks.model import Learnt

_FAR = 0.15  # log ratio beyond which a catalogue's number is told to be wrong
_FEW = 2


def explain(
    services: Mapping[str, Any],
    picture: Picture,
    learnt: "Learnt",
    taught: Shifts,
    reach: Floats,
    notes: tuple[str, ...],
) -> tuple[dict[str, tuple[str, ...]], tuple[str, ...]]:
    """Say why, by service, and list the assumptions made."""
    why: dict[str, tuple[str, ...]] = {}
    callers = _callers(services)
    entry_of = {int(s): k for k, s in enumerate(picture.entries.index)}
    for i, name in enumerate(picture.names):
        if i in entry_of:
            why[name] = (*_entry(picture, learnt, entry_of[i]), *(s for s in taught.says if f"of {name} " in s))
        elif i in picture.entries.silent:
            why[name] = ("nobody calls it and nothing is known of its traffic: zero; write its `entry` if it has any",)
        else:
            why[name] = _callee(callers.get(name, ()), picture, learnt, reach, i)
    return why, tuple(dict.fromkeys([*_assumptions(picture, learnt), *notes]))


def _entry(picture: Picture, learnt: "Learnt", k: int) -> tuple[str, ...]:
    entries, spikes = picture.entries, learnt.spikes
    per_dau, per_dat, extra = entries.rates[k]
    origin = "the catalogue" if entries.given[k] else "a fit to history"
    lines = [
        f"{per_dau:.3g} requests per active user, {per_dat:.3g} per order, {extra / 86400:.3g}/s besides ({origin})"
    ]
    correction = max(learnt.volume, key=lambda f: abs(float(f.mean[k])))
    moved = float(correction.mean[k])
    if abs(moved) > _FAR:
        lines.append(
            f"traffic says {np.exp(moved):.2f} times that on the promotion's days; the forecast follows traffic"
        )
    if not np.isfinite(entries.outside[:, k]).any():
        lines.append(f"no traffic of its own: its day may be off by {np.expm1(1.64 * priors.UNSEEN_VOLUME_SCALE):.0%}")
    lines.append(_shape_says(int(spikes.seen[k]), int(spikes.seen_coarse[k]), int(spikes.seen_other[k]), picture.kind))
    opening = next((i for i, c in enumerate(picture.line.cells) if c.opening), None)
    if opening is not None:
        forecast = spikes.peaks[int(spikes.kappa_weight.argmax())][opening]
        spread = float(forecast.spread[k])
        lines.append(
            f"its busiest opening minute takes {100 * np.exp(float(forecast.mean[k])):.2f} % of the day's requests, "
            f"within a factor {np.exp(1.64 * spread):.2f} either way"
        )
    if not learnt.seconds.seen[k]:
        lines.append("what happens inside its minutes is not in history: the burst is a prior, not a measurement")
    return tuple(lines)


def _shape_says(fine: int, coarse: int, other: int, kind: str) -> str:
    if fine:
        thin = " (thin evidence: one more would narrow it most)" if fine < _FEW else ""
        return f"shape of the opening from {fine} past {kind} promotion{'s' if fine > 1 else ''} by the minute{thin}"
    if coarse:
        return (
            f"past {kind} openings are known only by intervals wider than a minute: their busiest minute is a prior "
            "(published peaks), so the interval is wide; minutes around the next opening would narrow it most"
        )
    if other:
        return f"no past {kind} promotion in traffic: the shape is that of {other} promotions of other kinds, widened"
    return "no past promotion in traffic: the opening is a prior from published peaks, and its interval is very wide"


def _callers(services: Mapping[str, Any]) -> dict[str, list[tuple[str, str]]]:
    """Callers of each service, with the mode of the call."""
    out: dict[str, list[tuple[str, str]]] = {}
    for name, service in services.items():
        for call in service.calls:
            out.setdefault(call.to, []).append((name, call.mode))
    return out


def _callee(
    called_by: Sequence[tuple[str, str]], picture: Picture, learnt: "Learnt", reach: Floats, i: int
) -> tuple[str, ...]:
    callers = list(dict.fromkeys(name for name, _ in called_by))
    if not callers:
        return ("its `entry` says that nothing comes from outside, and nobody calls it: zero",)
    shown = ", ".join(callers[:3]) + (f" and {len(callers) - 3} more" if len(callers) > 3 else "")
    lines = [f"from what calls it ({shown}), instant by instant through the call graph"]
    correction = float(learnt.fanout.forecast.mean[i])
    if not reach[:, i].any():
        lines.append("no requests from outside reach its callers: zero")
    elif not learnt.fanout.learnt[i]:
        lines.append(f"no traffic of its own: calls per request are the catalogue's, ± {np.expm1(1.64 * 0.22):.0%}")
    elif abs(correction) > _FAR:
        said = float(np.asarray(picture.calls[:, [i]].sum(0)).ravel()[0]) if len(callers) == 1 else 1.0
        unit = "calls per request" if len(callers) == 1 else "times the catalogue's calls"
        seen = said * np.exp(correction)
        lines.append(f"catalogue says {said:.2f} {unit}, traffic says {seen:.2f}; the forecast follows traffic")
    if any(mode == "async" for _, mode in called_by):
        lines.append("calls through a queue are counted when they are queued: a consumer that may wait needs less")
    return tuple(lines)


def _assumptions(picture: Picture, learnt: "Learnt") -> list[str]:
    out = []
    if not picture.has_traffic:
        out.append(
            "no traffic history: requests follow the catalogue's entry rates, shapes and bursts published figures"
        )
    if not learnt.seconds.seen.all() or not learnt.seconds.seen.size:
        out.append(
            "seconds cannot be known where traffic has no peak_qps and no rows of a second: bursts inside the minute "
            "are a prior (wide); record peak_qps to narrow them"
        )
    if learnt.spikes.kappas.size > 1:
        follows = float(learnt.spikes.kappas @ learnt.spikes.kappa_weight)
        out.append(
            "the start hour moved against past promotions: futures range from an opening that multiplies the ordinary "
            f"hour (1) to a spike that ignores the clock (0); past events put it at {follows:.2f} (0.50: cannot tell)"
        )
    out.append(
        "base retries only, warm caches, no degradation and no limit: those belong to the plan and its rehearsal"
    )
    return out
