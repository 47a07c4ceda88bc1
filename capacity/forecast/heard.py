"""What a promotion's futures become when the business's estimate is heard and its inventory counted."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from capacity.forecast import adjust
from capacity.forecast.business import BusinessEstimate
from capacity.forecast.course import Course
from capacity.promotion import Promotion

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Heard:
    """Futures ``dau`` and ``dat`` (n_samples, segments, horizon) of the days up to and through one promotion.

    ``review`` is the log shift (horizon,) of each metric by the business, ``sold_out`` the share of futures that the
    inventory caps, ``weight`` (horizon,) the share of each day's activity that lies in the promotion.
    """

    dau: Floats
    dat: Floats
    business: BusinessEstimate | None
    review: dict[str, Floats]
    sold_out: float
    weight: Floats


def hear(course: Course, promotion: Promotion, everything: Sequence[Promotion]) -> Heard:
    """Combine history's futures with what is known of one promotion; all as known on the first forecast day."""
    activity = course.activity
    weight = np.zeros(len(course.dates))
    for day in course.calendar.ahead:
        if day.promotion == promotion.id and day.inside:
            weight[day.day - activity.n_history] = day.cover
    lean = _lean(course, weight > 0)
    dau, dat, business, review = adjust.with_business(course.dau, course.dat, promotion, everything, activity, lean)
    dat, sold_out = adjust.capped(dat, promotion, activity, weight)
    return Heard(dau, dat, business, review, sold_out, weight)


def _lean(course: Course, inside: npt.NDArray[np.bool_]) -> dict[str, Floats]:
    """Per metric, how far each day of the promotion follows its strongest one."""
    at = np.unique([day.day for day in course.calendar.ahead]).astype(np.intp) - course.activity.n_history
    main = {}
    for name, part in course.parts.items():
        main[name] = np.zeros(len(inside))
        main[name][at] = part.effects.main
        main[name] *= inside
    orders = main["dau"] + main["dat_per_dau"]
    return {
        metric: values / values.max() if values.any() else values
        for metric, values in (("dau", main["dau"]), ("dat", orders))
    }
