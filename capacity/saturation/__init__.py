"""Saturation: curves, their fitting, and capacity at the latency objective."""

from capacity.saturation.fit import CurveFit, fit_curve
from capacity.saturation.fits import CurveFits, fit_curves
from capacity.saturation.result import Curves
from capacity.saturation.saturation import fit_saturation

__all__ = ["CurveFit", "CurveFits", "Curves", "fit_curve", "fit_curves", "fit_saturation"]
