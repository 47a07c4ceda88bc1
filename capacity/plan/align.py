"""Peaks brought into the catalogue's order, and checked."""

from typing import TYPE_CHECKING

import numpy as np

from capacity.errors import InputError, Problem
from capacity.plan.fleet import Fleet
from capacity.plan.queues import Queue, read_queues
from capacity.plan.sizing import Floats

if TYPE_CHECKING:
    from capacity.peaks import Peaks


def align_peaks(peaks: "Peaks", fleet: Fleet) -> Floats:
    """Peaks in the catalogue's order; a service that the peaks do not know has none."""
    values = np.asarray(peaks.peak_qps.transpose("sample", "phase", "service").values, dtype=float)
    samples = len(values)
    if samples != len(fleet.capacity):
        got = f"{samples} samples of peaks and {len(fleet.capacity)} of curves"
        problem = Problem("make_plan", got, "the same number", "use the same n_samples in forecast and saturation")
        raise InputError("peaks and curves do not belong to the same futures", problems=[problem])
    bad = [n for i, n in enumerate(peaks.services) if not (np.isfinite(values[:, :, i]) & (values[:, :, i] >= 0)).all()]
    if bad:
        problems = [Problem(f"peaks of {n}", "NaN, infinite or negative", "requests per second") for n in bad[:20]]
        raise InputError("peaks hold values that are no rates", problems=problems)
    if tuple(peaks.services) == fleet.names:
        return values
    column = {name: i for i, name in enumerate(peaks.services)}
    out = np.zeros((*values.shape[:2], len(fleet.names)))
    for i, name in enumerate(fleet.names):
        if name in column:
            out[:, :, i] = values[:, :, column[name]]
    return out


def peak_queues(fleet: Fleet, peaks: "Peaks", peak_qps: Floats) -> tuple[Queue, ...]:
    """Size every callee behind a queue, where the arrivals over time are known."""
    delay = np.array([c.max_delay_s for c in fleet.network.call], dtype=float)
    if not (delay > 0).any() or tuple(peaks.services) != fleet.names:
        return ()
    return read_queues(fleet.network, peaks, peak_qps.max(axis=1), max_delay_s=delay)
