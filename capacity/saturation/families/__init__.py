"""The curves that compete to describe throughput against load, one small class each."""

from capacity.saturation.families.amdahl import Amdahl
from capacity.saturation.families.family import Family
from capacity.saturation.families.linear import Linear
from capacity.saturation.families.mmc import MMc
from capacity.saturation.families.pool import Pool
from capacity.saturation.families.usl import USL
from capacity.saturation.families.utilization import Utilization

FAMILIES: dict[str, Family] = {f.name: f for f in (Linear(), Amdahl(), USL(), Pool(), MMc(), Utilization())}
"""Every family by name."""

COMPETING = ("linear", "amdahl", "usl", "pool", "mmc")
"""Families whose load is a concurrency; the utilization law's load is a CPU fraction and competes with none of them."""

__all__ = ["COMPETING", "FAMILIES", "USL", "Amdahl", "Family", "Linear", "MMc", "Pool", "Utilization"]
