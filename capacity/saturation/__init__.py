"""Saturation: curves, their fitting, and capacity at the latency objective."""

from capacity.saturation.fit import CurveFit, fit_curve

__all__ = ["CurveFit", "fit_curve"]
