"""From requests to steady steps: offered load segmented, warm-up left out, X, R and N counted in one window."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from capacity.errors import InputError, Problem
from capacity.loadtest.gate import Gate
from capacity.loadtest.inside import Model as Model
from capacity.loadtest.inside import check_inside, check_thinking
from capacity.loadtest.requests import RequestTally, Seconds, weighted_quantiles
from capacity.loadtest.segments import Segment, plateaus
from capacity.loadtest.steps import to_frame

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]
Tails = Callable[[float, float], dict[str, float]]

WARM_UP_S, WARM_UP_RESPONSES = 2.0, 3.0
USERS_IN_SERVICE = 0.05
_SLICES = 12
_TAILS, _SHARES = ("p50_ms", "p95_ms", "p99_ms"), (0.5, 0.95, 0.99)
_LEAST_SLICE_S = 10
_COVERED = 0.3
_CLOSED_DISPERSION = 0.02


@dataclass(frozen=True)
class Span:
    """A step as the tool itself named it: from ``begins_s`` to ``ends_s``, seconds since 1970."""

    begins_s: float
    ends_s: float
    label: str = ""


@dataclass(frozen=True)
class Steady:
    """Steady steps of a run: the frame, what the seconds inside the steps show, and how the load was read."""

    steps: pd.DataFrame
    gates: tuple[Gate, ...]
    notes: tuple[str, ...]

    def required(self, *, where: str, broken: Sequence[Problem] = ()) -> Steady:
        """Give itself, or raise `InputError` where no step was found."""
        if len(self.steps):
            return self
        problem = Problem(where, "no stretch of steady load", "at least ten seconds at one load, with answers in them")
        raise InputError("no step can be measured", problems=[*broken, problem])


def steady_steps(tally: RequestTally, *, model: Model | None = None, spans: Sequence[Span] = ()) -> Steady:
    """Find the steady steps of a run and measure each.

    Parameters
    ----------
    tally
        Its requests.
    model
        ``closed``: users wait for answers; ``open``: requests arrive at a rate; None: told from the requests.
    spans
        Steps as the tool named them. They are kept where they follow one another, and cut further where load changed
        inside them; spans that overlap (several kinds of request at once) say nothing of steps.

    Returns
    -------
    Steady
        ``concurrency`` is the users where they are all in service, else the mean number under way (users who think
        are not in service). ``achieved_qps`` counts answers without error. A percentile is the larger of that of all
        answers and that of answers without error: what fails fast does not look fast, what times out is not hidden.

    Examples
    --------
    Two users, then four, each request taking 0.1 s:

    >>> tally = RequestTally()
    >>> for users, begins in ((2, 0.0), (4, 20.0)):
    ...     start = np.repeat(begins + np.arange(200) / 10, users)
    ...     tally.add(start, np.full(len(start), 0.1), failed=np.zeros(len(start), bool))
    >>> steps = steady_steps(tally).steps
    >>> steps["concurrency"].round(3).tolist(), steps["achieved_qps"].tolist()
    ([2.0, 4.0], [20.0, 40.0])
    """
    return steady_seconds(tally.seconds(), tails=lambda a, b: _tails(tally, a, b), model=model, spans=spans)


def steady_seconds(
    seconds: Seconds, *, tails: Tails, model: Model | None = None, spans: Sequence[Span] = (), settle: float = 0.0
) -> Steady:
    """Find the steady steps of a run of which only seconds are known, not requests.

    Parameters
    ----------
    seconds
        The run by second; NaN in ``ends`` is a second that is not known and not measured.
    tails
        Gives the percentiles known between two times, seconds since 1970, by column.
    model, spans
        As for `steady_steps`.
    settle
        Share of each step that is left out beside the warm-up, where numbers lag behind the load.
    """
    if not len(seconds.second):
        return Steady(to_frame([]), (), ("no requests",))
    measured = np.isfinite(seconds.ends)
    users_known = bool(np.isfinite(seconds.users[measured]).mean() > 0.5) if measured.any() else False
    how: Model = model or ("closed" if users_known or _looks_closed(seconds) else "open")
    load, counts = _load(seconds, how, users_known=users_known)
    segments, sliced = _segments(seconds, load, counts=counts, spans=spans)
    notes = [f"read as {'users who wait for answers (closed)' if how == 'closed' else 'arrivals at a rate (open)'}"]
    gates: list[Gate] = []
    rows: list[dict[str, float]] = []
    for segment in segments:
        window = _window(seconds, segment, settle)
        if window is None:
            continue
        row = _measure(tails, seconds, window)
        row |= {"users": segment.level} if how == "closed" and users_known else {}
        rows.append(_loaded(row, how, segment))
        gates.extend(check_inside(seconds, window, how, step=len(rows) - 1))
    if sliced:
        says = "the load was raised without pause: these steps are slices of a ramp, and queues lag behind"
        remedy = "hold each load until it is steady, at least a minute"
        gates.extend(Gate("load_raised_too_fast", "flagged", None, None, says, remedy, i) for i in range(len(rows)))
    gates.extend(check_thinking(rows, in_service=1.0 - USERS_IN_SERVICE))
    return Steady(to_frame([_without_users(r) for r in rows]), tuple(gates), tuple(notes))


def _looks_closed(seconds: Seconds) -> bool:
    """Whether the number under way stands still from second to second, as it does only where users wait."""
    busy = seconds.in_flight[(seconds.starts > 0) & (seconds.in_flight > 0.5)]
    if len(busy) < 10:
        return False
    change = np.abs(np.diff(busy)) / np.maximum(busy[1:], 1.0)
    return bool(np.median(change) < _CLOSED_DISPERSION)


def _load(seconds: Seconds, model: Model, *, users_known: bool) -> tuple[Array, bool]:
    if model == "open":
        return seconds.starts, True
    if not users_known:
        return seconds.in_flight, False
    # A second in which nothing ended says nothing of the users: they are those of the second before.
    known = np.isfinite(seconds.users)
    last = np.maximum.accumulate(np.where(known, np.arange(len(known)), -1))
    told = (last >= 0) & (known | np.isfinite(seconds.ends))
    return np.where(told, seconds.users[np.maximum(last, 0)], np.nan), False


def _segments(
    seconds: Seconds, load: Array, *, counts: bool, spans: Sequence[Span]
) -> tuple[tuple[Segment, ...], bool]:
    pieces = _in_turn(spans)
    if len(pieces) < 2:
        pieces = [Span(float(seconds.second[0]), float(seconds.second[-1] + 1))]
    found: list[Segment] = []
    for span in pieces:
        inside = (seconds.second >= np.floor(span.begins_s)) & (seconds.second < np.ceil(span.ends_s))
        found.extend(plateaus(seconds.second[inside], load[inside], counts=counts))
    active = int(np.count_nonzero(load > 0))
    if active < 3 * _LEAST_SLICE_S or sum(s.seconds for s in found) >= _COVERED * active:
        return tuple(found) or _whole(seconds, load), False
    return _slices(seconds, load, active), True


def _in_turn(spans: Sequence[Span]) -> list[Span]:
    """Spans in the order of time, each cut where the next begins; none where they run side by side."""
    ordered = sorted(spans, key=lambda s: s.begins_s)
    for one, other in itertools.pairwise(ordered):
        if one.ends_s - other.begins_s > 0.2 * min(one.ends_s - one.begins_s, other.ends_s - other.begins_s) + 1.0:
            return []
    ends = [s.begins_s for s in ordered[1:]] + [np.inf]
    return [Span(s.begins_s, min(s.ends_s, e), s.label) for s, e in zip(ordered, ends, strict=False)]


def _whole(seconds: Seconds, load: Array) -> tuple[Segment, ...]:
    """Take a run too short to hold a plateau as one step."""
    busy = np.flatnonzero(load > 0)
    if len(busy) < 2:
        return ()
    return (Segment(int(seconds.second[busy[0]]), int(seconds.second[busy[-1]]) + 1, float(np.median(load[busy]))),)


def _slices(seconds: Seconds, load: Array, active: int) -> tuple[Segment, ...]:
    length = max(_LEAST_SLICE_S, -(-active // _SLICES))
    found = []
    # By place, not by time: where a time is wrong, a pause may last years.
    for first in range(0, len(seconds.second), length):
        inside = slice(first, first + length)
        begins, ends = int(seconds.second[inside][0]), int(seconds.second[inside][-1]) + 1
        if ends - begins <= length and np.count_nonzero(load[inside] > 0) >= length // 2:
            found.append(Segment(begins, begins + length, float(np.nanmean(load[inside][load[inside] > 0]))))
    return tuple(found)


def _window(seconds: Seconds, segment: Segment, settle: float) -> NDArray[np.int64] | None:
    """Seconds of a segment that are measured: warm-up and the last, shared second are left out."""
    inside = np.arange(*np.searchsorted(seconds.second, [segment.begins_s, segment.ends_s]))
    known = np.isfinite(seconds.ends[inside])
    ended = seconds.ends[inside][known].sum()
    if ended == 0:
        return None
    response_s = np.nan_to_num(seconds.latency_s[inside][known].sum() / ended)
    warm_up = int(np.ceil(max(WARM_UP_S, WARM_UP_RESPONSES * response_s, settle * len(inside))))
    warm_up = min(warm_up, len(inside) // 2)
    last = 1 if len(inside) - warm_up >= 4 else 0
    kept = inside[warm_up : len(inside) - last]
    kept = kept[np.isfinite(seconds.ends[kept])]
    return kept if len(kept) and seconds.ends[kept].sum() > 0 else None


def _measure(tails: Tails, seconds: Seconds, window: NDArray[np.int64]) -> dict[str, float]:
    begins, ends = float(seconds.second[window[0]]), float(seconds.second[window[-1]] + 1)
    length, answered = float(len(window)), float(seconds.ends[window].sum())
    good = float(seconds.good[window].sum())
    return {
        "offered_qps": float(seconds.starts[window].sum()) / length,
        "achieved_qps": good / length,
        "concurrency": float(seconds.in_flight[window].mean()),
        "mean_ms": 1e3 * float(seconds.latency_s[window].sum()) / answered,
        "error_fraction": 1.0 - good / answered,
        "seconds": length,
        "begins_s": begins - float(seconds.second[0]),
        **tails(begins, ends),
    }


def _tails(tally: RequestTally, begins_s: float, ends_s: float) -> dict[str, float]:
    """Give percentiles of requests: the larger of that of all answers and that of answers without error."""
    latency_s, fine, failed = tally.histogram(begins_s=begins_s, ends_s=ends_s)
    all_answers = weighted_quantiles(latency_s, fine + failed, _SHARES)
    good_ones = weighted_quantiles(latency_s, fine, _SHARES)
    return dict(zip(_TAILS, (1e3 * np.fmax(all_answers, good_ones)).tolist(), strict=True))


def _loaded(row: dict[str, float], model: Model, segment: Segment) -> dict[str, float]:
    if model == "open":
        return row
    kept = {k: v for k, v in row.items() if k != "offered_qps"}
    users = row.get("users", float(np.round(segment.level)))
    if not kept["concurrency"] > 0:
        # Answers faster than the clock ticks.
        del kept["concurrency"]
    elif users > 0 and abs(row["concurrency"] / users - 1.0) <= USERS_IN_SERVICE:
        kept["concurrency"] = users
    return kept


def _without_users(row: dict[str, float]) -> dict[str, float]:
    return {k: v for k, v in row.items() if k != "users"}
