"""The figure of an intraday forecast: the last days, then the fan ahead."""

from typing import TYPE_CHECKING

import pandas as pd

from capacity.display.figures import BLUE, INK, Chart, draw_band, new_figure, number_axis
from capacity.display.numbers import format_number
from capacity.errors import InputError, did_you_mean

if TYPE_CHECKING:
    from capacity.peaks.intraday.result import IntradayForecast


def draw_intraday(forecast: "IntradayForecast", series: str | None) -> Chart:
    """Draw one series."""
    name = forecast.series[0] if series is None else series
    if name not in forecast.series:
        raise InputError(f"no series {name!r} in this forecast", remedy=did_you_mean(name, forecast.series))
    past = forecast.history[forecast.history["series"] == name]
    ahead = forecast.quantiles[forecast.quantiles["series"] == name]
    levels = sorted(float(c) for c in ahead.columns if not isinstance(c, str))
    middle = min(levels, key=lambda q: abs(q - 0.5))
    figure = new_figure()
    axes = figure.subplots()
    axes.plot(past["ts"], past["value"], color=INK, linewidth=0.8)
    if len(levels) > 1:
        draw_band(axes, ahead["ts"], ahead[levels[0]], ahead[levels[-1]], coverage=levels[-1] - levels[0])
    axes.plot(ahead["ts"], ahead[middle], color=BLUE)
    axes.set_ylabel(f"requests in {forecast.interval_s / 60:g} min")
    axes.set_ylim(bottom=0)
    number_axis(axes.yaxis)
    axes.tick_params(axis="x", labelrotation=30)
    top = ahead.iloc[int(ahead[middle].argmax())]
    frame = pd.concat([past.assign(kind="history"), ahead.assign(kind="forecast")], ignore_index=True)
    return Chart(
        figure=figure,
        title=f"{name}: the intervals ahead",
        alt=f"Requests by interval, history then a fan; the highest median is {format_number(float(top[middle]))} "
        f"at {top['ts']:%Y-%m-%d %H:%M}.",
        frame=frame.rename(columns=str),
    )
