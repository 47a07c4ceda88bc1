"""Simulated companies of a second family of processes, unlike those of `capacity.demo` in kind, to judge forecasts by.

Growth is a curve of adoption, steps or decline, not a wandering slope; days have heavy tails and restless times;
promotions tire or take hold, last a day or a fortnight, open once or twice; rushes fall as a gamma or a power of time;
seconds are a Cox process whose dispersion falls with the rate, with retries that excite more; the call graph is random.
What is drawn from which range, and why, stands in `README.md` beside this file. Nothing here was chosen by looking at a
forecast.

Examples
--------
>>> from benchmarks.second_family.world import draw_world
>>> draw_world(1).target.id
'2025-06-618'
"""

from benchmarks.second_family.company import SecondCompany, make_second_company
from benchmarks.second_family.truth import SecondTruth

__all__ = ["SecondCompany", "SecondTruth", "make_second_company"]
