"""Corrections that reviews taught, read as prior beliefs and never as a second observation."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from capacity.peaks import priors
from capacity.peaks.picture import Picture
from capacity.peaks.priors import Floats

_Z95 = 1.6448536269514722


@dataclass(frozen=True)
class Shifts:
    """Log corrections of each entry.

    Attributes
    ----------
    requests_per_dat, peak_share, burst : ndarray, shape (entry,)
    says : tuple of str
        What was read and what it did.
    """

    requests_per_dat: Floats
    peak_share: Floats
    burst: Floats
    says: tuple[str, ...]


def read_lessons(lessons: Any, picture: Picture, used: Sequence[str]) -> Shifts:
    """Turn lessons into shifts.

    A lesson of a promotion whose own traffic the model has read is already in the numbers and moves nothing. Of any
    other, the log median moves the forecast by its weight against the spread between events; spreads stay as they are.

    Parameters
    ----------
    lessons : Lessons or None
    picture : Picture
    used : sequence of str
        Ids of the promotions whose traffic was read.
    """
    n = picture.entries.index.size
    shifts = {p: np.zeros(n) for p in ("requests_per_dat", "peak_share", "burst")}
    scales = {
        "requests_per_dat": np.hypot(priors.VOLUME.event_scale, priors.VOLUME.kind_scale),
        "peak_share": np.hypot(priors.OPENING_SHARE.event_scale, priors.OPENING_SHARE.kind_scale),
        "burst": np.hypot(priors.OPENING_RAMP.event_scale, priors.OPENING_RAMP.loc_scale),
    }
    says = []
    for parameter, shift in shifts.items():
        for k, service in enumerate(picture.entries.index):
            name = picture.names[service]
            found = lessons.find(parameter, kind=picture.kind, service=name) if lessons is not None else ()
            if not len(found):
                continue
            lesson = found[len(found) - 1]
            if lesson.promotion in used:
                says.append(
                    f"the lesson of {lesson.promotion} on {parameter} of {name} is already in its traffic: "
                    "not applied twice"
                )
                continue
            q = lesson.quantiles
            spread = max(np.log(q.q95 / q.q05) / (2 * _Z95), 1e-3)
            weight = scales[parameter] ** 2 / (scales[parameter] ** 2 + spread**2)
            shift[k] = weight * np.log(q.q50)
            says.append(f"the lesson of {lesson.promotion} moves {parameter} of {name} by {np.expm1(shift[k]):+.0%}")
    return Shifts(shifts["requests_per_dat"], shifts["peak_share"], shifts["burst"], tuple(dict.fromkeys(says)))
