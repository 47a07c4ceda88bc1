"""How large a share of its day the busiest minute takes, for the promotion to come."""

from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace as with_fields

import numpy as np
from numpy.typing import NDArray

from capacity.peaks import priors
from capacity.peaks.concentration import Concentration, learn_concentration
from capacity.peaks.entries import event_axes
from capacity.peaks.events import EventForecast, predict_event
from capacity.peaks.evidence import PastEvent
from capacity.peaks.priors import Floats
from capacity.peaks.shape import PastShape, cell_peaks, complete, mean_profile, ordinary_shares, shares
from capacity.peaks.timeline import Cell, Timeline

_KAPPAS = (0.0, 0.25, 0.5, 0.75, 1.0)
_NO_ORDINARY_SCALE = 0.35  # of the busiest share where not even ordinary days' shape is known
_BLOCK = 2e7  # numbers held at once while shapes are laid on the timeline


@dataclass(frozen=True)
class Spikes:
    """Shapes for the promotion to come.

    Attributes
    ----------
    kappas : ndarray, shape (kappa,)
        One where no start hour moved.
    kappa_weight : ndarray, shape (kappa,)
        Even, but for what events at this and at other hours tell by agreeing better under one than another.
    profile : ndarray, shape (kappa, entry, minute)
        Mean share of the local day in each minute.
    peaks : list over kappa of list over cells of EventForecast
        Log share of a cell's busiest minute.
    seen : ndarray of int, shape (entry,)
        Past events of the kind whose opening was seen by the minute.
    seen_coarse, seen_other : ndarray of int, shape (entry,)
        … by coarser intervals only; of other kinds.
    used : tuple of str
        Ids of the events that the profile was made of.
    wobble : ndarray, shape (cell, entry)
        Relative variance from minute to minute beyond counts, which adds to φ where many minutes compete.
    """

    kappas: Floats
    kappa_weight: Floats
    profile: Floats
    peaks: tuple[tuple[EventForecast, ...], ...]
    seen: NDArray[np.int64]
    seen_coarse: NDArray[np.int64]
    seen_other: NDArray[np.int64]
    used: tuple[str, ...]
    wobble: Floats


def learn_spikes(
    pasts: Sequence[PastShape],
    events: Sequence[PastEvent],
    line: Timeline,
    ordinary: Floats,
    *,
    kind: str,
    year: float,
    transaction_share: Floats,
    remembered: tuple[Floats, Floats],
) -> Spikes:
    """Learn profiles and peak shares from past events.

    Parameters
    ----------
    pasts : sequence of PastShape
        One an event.
    events : sequence of PastEvent
    line : Timeline
    ordinary : ndarray, shape (entry, 1440)
        Ordinary day with mean one; NaN rows where unknown.
    kind, year
        Of the promotion.
    transaction_share : ndarray, shape (entry,)
        Part of an entry's requests that comes with orders: chooses between published priors.
    remembered : tuple of ndarray, shape (event, entry)
        Log share of the opening minute worked back from `actual`, NaN where there is none; and its spread.
    """
    known_day: NDArray[np.bool_] = np.asarray(np.isfinite(ordinary).all(1))
    day = np.where(known_day[:, None], ordinary, _pooled_day(ordinary, known_day))
    years, own, kinds = event_axes(events, kind)
    moved = any((past.clock != line.clock).any() for past in pasts)
    kappas = np.array(_KAPPAS if moved else (1.0,))
    base = ordinary_shares(line, day)
    weight = _profile_weights(pasts, own, years)
    opening = next((c for c in line.cells if c.opening), None)
    fine, coarse = _openings_seen(pasts, opening, day.shape[0])
    sharp: NDArray[np.bool_] = np.ones(day.shape[0], dtype=bool)
    if len(pasts):
        sharp = ~np.asarray((fine & (weight > 0)[:, None]).any(0))
    hidden = learn_concentration([p.rate for p in pasts], [p.resolution_s for p in pasts], line.tau, day.shape[0])
    profiles, peaks = [], []
    for kappa in kappas:
        profile, values, noise, wobble = _lay(pasts, line, day, base, weight, sharp, float(kappa), hidden)
        if opening is not None:
            at = line.cells.index(opening)
            take = ~np.isfinite(values[:, at]) & np.isfinite(remembered[0])
            values[:, at] = np.where(take, remembered[0], values[:, at])
            noise[:, at] = np.where(take, remembered[1], noise[:, at])
        peaks.append(tuple(
            predict_event(
                values[:, i], years=years, own_kind=own, kinds=kinds, target_year=year, noise=noise[:, i],
                prior=_prior(cell, base, known_day, transaction_share),
            )
            for i, cell in enumerate(line.cells)
        ))  # fmt: skip
        profiles.append(profile)
    names = tuple(e.id for e, w in zip(events, weight, strict=True) if w > 0)
    return Spikes(
        kappas, _kappa_weight(peaks, opening, line), np.stack(profiles), tuple(peaks),
        fine[own].sum(0), coarse[own].sum(0), (fine | coarse)[~own].sum(0), names, wobble,
    )  # fmt: skip


def _kappa_weight(peaks: Sequence[Sequence[EventForecast]], opening: Cell | None, line: Timeline) -> Floats:
    if opening is None:
        return np.full(len(peaks), 1.0 / len(peaks))
    evidence = np.array([cells[line.cells.index(opening)].evidence for cells in peaks])
    weight = np.exp(evidence - evidence.max())
    return np.asarray(weight / weight.sum())


def _lay(
    pasts: Sequence[PastShape],
    line: Timeline,
    day: Floats,
    base: Floats,
    weight: Floats,
    sharp: NDArray[np.bool_],
    kappa: float,
    hidden: Concentration,
) -> tuple[Floats, Floats, Floats, Floats]:
    """Profile (entry, minute), log peaks and their noise (event, cell, entry), minutes' wobble φ (cell, entry)."""
    n_entries, n_cells = day.shape[0], len(line.cells)
    values = np.full((len(pasts), n_cells, n_entries), np.nan)
    noise, wobble = np.zeros_like(values), np.full_like(values, np.nan)
    profile = np.empty_like(base)
    step = max(1, int(_BLOCK / (line.size * max(len(pasts), 1))))
    for first in range(0, n_entries, step):
        rows = slice(first, min(first + step, n_entries))
        stack = np.empty((len(pasts), rows.stop - rows.start, line.size))
        for p, past in enumerate(pasts):
            part = past.rows(rows)
            filled, doubt = complete(part, day[rows])
            share = shares(with_fields(part, rate=filled), line, day[rows], kappa=kappa)
            for i, cell in enumerate(line.cells):
                values[p, i, rows], noise[p, i, rows], wobble[p, i, rows] = cell_peaks(
                    share, part, doubt, line, cell, hidden.rows(rows)
                )
            stack[p] = np.where(np.isfinite(part.rate), share, np.nan)
        profile[rows] = mean_profile(stack, weight, base[rows], line, sharp[rows], hidden.rows(rows))
    return profile, values, noise, _mean_square(wobble)


def _mean_square(wobble: Floats) -> Floats:
    known = np.isfinite(wobble)
    return np.asarray((np.where(known, wobble, 0.0) ** 2).sum(0) / np.maximum(known.sum(0), 1))


def _prior(cell: Cell, base: Floats, known_day: NDArray[np.bool_], transaction_share: Floats) -> priors.EventPrior:
    if cell.opening:
        # Orders and pages: two published figures, between them by what an entry's requests come with.
        loc = (
            transaction_share * priors.ORDER_OPENING_SHARE_LOC
            + (1 - transaction_share) * priors.BROWSE_OPENING_SHARE_LOC
        )
        return with_fields(priors.OPENING_SHARE, loc=loc)
    usual = np.log(base[:, cell.first : cell.stop].max(1))
    prior = priors.REST_SHARE
    scale = prior.loc_scale if known_day.any() else float(np.hypot(prior.loc_scale, _NO_ORDINARY_SCALE))
    return with_fields(prior, loc=usual + prior.loc, loc_scale=scale)


def _profile_weights(pasts: Sequence[PastShape], own: NDArray[np.bool_], years: Floats) -> Floats:
    """Recent events of the kind; where none of the kind is seen, of the others."""
    seen = np.array([bool(np.isfinite(p.rate).any()) for p in pasts], dtype=bool)
    use = seen & own if (seen & own).any() else seen
    newest = years[use].max() if use.any() else 0.0
    return np.where(use, 2.0 ** (-(newest - years) / 4.0), 0.0)


def _openings_seen(
    pasts: Sequence[PastShape], opening: Cell | None, n_entries: int
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Whether each event shows each entry's opening by the minute, and by something coarser; (event, entry)."""
    fine = np.zeros((len(pasts), n_entries), dtype=bool)
    coarse = np.zeros_like(fine)
    if opening is None:
        return fine, coarse
    for p, past in enumerate(pasts):
        part = slice(opening.first, min(opening.first + 30, opening.stop))
        known = np.isfinite(past.rate[:, part]).mean(1) > 0.5
        minute = np.median(past.resolution_s[:, part], axis=1) <= 60.0
        fine[p], coarse[p] = known & minute, known & ~minute
    return fine, coarse


def _pooled_day(ordinary: Floats, known: NDArray[np.bool_]) -> Floats:
    return np.asarray(ordinary[known].mean(0)) if known.any() else np.ones(1440)
