"""Saturation: curves, their fitting, and capacity at the latency objective."""

from capacity.saturation.fit import CurveFit, fit_curve
from capacity.saturation.result import Curves
from capacity.saturation.saturation import fit_saturation

__all__ = ["CurveFit", "Curves", "fit_curve", "fit_saturation"]
