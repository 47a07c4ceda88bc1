"""A simulated company whose truth is known: three years of days, promotions by the second, load tests, files.

`make_company` draws everything from a seed by one documented process and writes nothing. The truth stays beside it:
tests and benchmarks may read it, and no module outside this package opens ``truth/``.

The process in short (docs/sample_company.md tells it with every range):

- *Days.* log DAU of a segment = level + growth + wandering slope + week + year + holidays (lunar ones too) + one break
  + autoregressive noise; orders = DAU × a conversion with its own season and noise. The total is de-duplicated.
- *Promotions.* Each kind lifts DAU and, far more, orders: log uplift = scale of kind × intensity × strength + growth by
  year + a shock shared by all segments. Orders dip before (most in the last hours) and after. The evening of
  2026-double11 is drawn exactly as the past ones: a good forecast can be calibrated, none can be perfect.
- *Seconds.* Added orders come in an opening spike (up within seconds, down on three time scales), a body and a rush
  before the end; browsing has a smaller spike per entry service. Counts of a second have Var = λ + φλ².
- *Call graph.* λ_j = Σ λ_i · calls · (1 − hits) · attempts, each with an own slow wobble; misses rise at the opening.
- *Instances.* A birth–death chain inside each gives throughput, latency, refusals; capacity is where the SLO ends.
- *People.* Limits that hid demand, biased estimates, defective load tests, lost logs, a switch nobody put back.

Examples
--------
>>> from capacity.demo.world import draw_world
>>> [event.id for event in draw_world(0).events if event.kind == "double11"]
['2023-double11', '2024-double11', '2025-double11', '2026-double11']

References
----------
N. J. Gunther, *Guerrilla Capacity Planning*, Springer 2007 (scalability law).
L. Kleinrock, *Queueing Systems*, vol. 1, Wiley 1975 (birth–death chains).
"""

from capacity.demo.company import Company, make_company
from capacity.demo.truth import Truth, parse_truth, read_truth

__all__ = ["Company", "Truth", "make_company", "parse_truth", "read_truth"]
