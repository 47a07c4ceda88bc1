"""Rehearsal: play sampled futures against a plan before the evening does."""

from capacity.rehearsal.faults import NAMES as FAULTS
from capacity.rehearsal.rehearse import rehearse
from capacity.rehearsal.result import Rehearsal

__all__ = ["FAULTS", "Rehearsal", "rehearse"]
