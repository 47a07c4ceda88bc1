"""From joint samples of daily users and orders to each service's worst second.

The way through: `picture` gathers history as arrays, `entries` learns requests a day, `spikes` the share of the
busiest minute, `seconds` the burst inside it, `fanout` the calls per request; `simulate` draws joint futures.
"""

from capacity.peaks.model import forecast_peaks
from capacity.peaks.result import FACTORS, Peaks

__all__ = ["FACTORS", "Peaks", "forecast_peaks"]
