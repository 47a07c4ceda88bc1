"""What is believed before any data of one's own: each figure with where it comes from.

All are on the log scale unless the name says otherwise, and all are wide: they decide only where
history says nothing, and every use of one is told in ``Peaks.why``.

Published figures used here (see References):

- orders at Double 11, busiest second ÷ mean of the day: 10.9 (2012), 24.9 (2014), 25.9 (2015),
  23.0 (2016), 34.6 (2017), 40.7 (2018), 36.4 (2019); detail pages 3.7 and search 2.05 (2012);
- a public trace of requests per second (22 days, about 64 requests/s): busiest minute ÷ mean of the
  busiest hour 2.29, busiest second ÷ mean of the busiest hour 2.94.

References
----------
Alibaba Group, Double 11 press figures 2012-2019 (peak orders per second and orders of the day).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

ORDER_PEAK_RATIOS = np.array([10.9, 24.9, 25.9, 23.0, 34.6, 40.7, 36.4])
ORDER_PEAK_YEARS = np.array([2012.0, 2014, 2015, 2016, 2017, 2018, 2019])
BROWSE_PEAK_RATIOS = np.array([3.7, 2.05])


@dataclass(frozen=True)
class EventPrior:
    """Belief about one log quantity that differs from event to event.

    Parameters
    ----------
    loc : float or ndarray, shape (series,)
        Where a series lies when nothing of its own is known.
    loc_scale : float
        Standard deviation of a series' own level around `loc`.
    kind_scale : float
        Between kinds of promotion, for one series.
    event_scale : float
        Between events of one kind; the centre of a learnt distribution, not a fixed value.
    slope_scale : float
        Of the yearly log-linear slope around zero.
    """

    loc: float | Floats
    loc_scale: float
    kind_scale: float
    event_scale: float
    slope_scale: float


# Requests per active user and transaction on promotion days, against what ordinary days promise. The loc scale says
# that a catalogue's split into per-DAU and per-DAT calls is easily a third off on a day when DAT alone multiplies.
VOLUME = EventPrior(loc=0.0, loc_scale=0.3, kind_scale=0.1, event_scale=0.08, slope_scale=0.03)

# Share of the day in the busiest minute of a phase without an opening: people's day, stable from year to year.
REST_SHARE = EventPrior(loc=0.1, loc_scale=0.3, kind_scale=0.15, event_scale=0.08, slope_scale=0.03)

# Share of the day in the opening minute. Residuals of the published order ratios around their trend have a standard
# deviation of about 0.2, their slope is 0.16 a year in the years of fastest growth; different kinds differ by a half.
OPENING_SHARE = EventPrior(loc=0.0, loc_scale=0.7, kind_scale=0.45, event_scale=0.18, slope_scale=0.10)

# What the seconds of the opening minute add beyond noise (people press the button at zero seconds).
OPENING_RAMP = EventPrior(loc=float(np.log(1.3)), loc_scale=0.3, kind_scale=0.1, event_scale=0.08, slope_scale=0.02)

# Calls per request at the peak against calls per request on ordinary days just before.
FANOUT = EventPrior(loc=0.0, loc_scale=0.08, kind_scale=0.04, event_scale=0.05, slope_scale=0.01)

# A callee's own busiest second against the one its callers' arrivals imply.
CALLEE_BURST = EventPrior(loc=0.0, loc_scale=0.08, kind_scale=0.03, event_scale=0.04, slope_scale=0.01)

TYPICAL_BURST = 1.5  # peak second ÷ peak minute used to turn published second ratios into minute ratios
ORDER_OPENING_SHARE_LOC = float(np.log(ORDER_PEAK_RATIOS).mean() - np.log(TYPICAL_BURST * 1440.0))
# Pages are looked at all day; orders at 2012 stood at 10.9 when pages stood at 3.7 and 2.05, and tripled afterwards.
BROWSE_OPENING_SHARE_LOC = float(np.log(BROWSE_PEAK_RATIOS).mean() + 0.5 - np.log(TYPICAL_BURST * 1440.0))

# Busiest minute ÷ mean of its hour where only hours are known: from 1 (smooth) to the public trace's 2.29 and beyond.
REST_CONCENTRATION_LOC, REST_CONCENTRATION_SCALE = float(np.log(1.35)), 0.25
# In an opening hour: published second ratios ÷ (busiest hour 1.73 … 3 of the day's mean × burst) give 1.2 … 15.
OPENING_CONCENTRATION_LOC, OPENING_CONCENTRATION_SCALE = float(np.log(3.5)), 0.65

# φ of Var = λ + φλ² where seconds are unknown: the public trace implies 0.008, big sites less.
DISPERSION_LOC, DISPERSION_SCALE = float(np.log(0.004)), 1.0

UNSEEN_VOLUME_SCALE = 0.25  # an entry's daily requests from the catalogue's coefficients alone
UNSEEN_FANOUT_SCALE = 0.20  # calls per request from the catalogue alone
WOBBLE_CORRELATION = 0.5  # of the rates' wobble inside a minute, between two entries
EVENT_CORRELATION, EVENT_CORRELATION_WEIGHT = 0.6, 3.0  # of an event's shocks between series, and events it is worth
CLOCK_MEMORY_MIN = 120.0  # after so many minutes an opening at another hour follows the clock again
