"""Ordinary traffic by the interval: from any regular history to the intervals, daily peaks and peak seconds ahead.

The way through: `grid` lays a history out, `counts` puts it on an even scale, `shape` and `course` say what a day looks
like, `persistence` what the last hours add, `track` follows that over all origins, `uncertainty` learns how far off it
was; `bursts` and `due` split peaks that have two heights, `outlook` joins all into quantiles, `daily` takes maxima.
"""

from capacity.peaks.intraday.backtest import backtest_intraday
from capacity.peaks.intraday.model import forecast_intraday
from capacity.peaks.intraday.result import IntradayBacktest, IntradayForecast

__all__ = ["IntradayBacktest", "IntradayForecast", "backtest_intraday", "forecast_intraday"]
