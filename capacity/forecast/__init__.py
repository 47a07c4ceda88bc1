"""Forecasts of daily volumes: any panel of series with known events, and the DAU and DAT of a promotion."""

from capacity.forecast.backtest import Backtest, backtest_demand
from capacity.forecast.business import BusinessEstimate
from capacity.forecast.demand import Demand
from capacity.forecast.panel import PanelForecast, forecast_panel
from capacity.forecast.predict import forecast_demand

__all__ = [
    "Backtest",
    "BusinessEstimate",
    "Demand",
    "PanelForecast",
    "backtest_demand",
    "forecast_demand",
    "forecast_panel",
]
