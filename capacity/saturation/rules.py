"""The stated rules: how far an answer may go beyond what was measured, and what is assumed where nothing is known.

Every number here is a judgement. Each is said in the assumptions of a result that uses it.
"""

from __future__ import annotations

MOST_BEYOND = 1.0 / 0.6
"""A capacity is never quoted above this multiple of the highest load that was seen to hold: a test that stopped below
60 % of the end says nothing of where that is, and above it any factor is taken to be as likely as another."""

CPU_CEILING = 0.85
"""Of production without a load test the utilization law is read at this fraction, not at 1: latency breaks before the
CPU is always busy. A test's bound is the whole CPU: with many cores it breaks hardly before."""

RUN_SPREAD = 0.02
"""Log standard deviation between runs of one service when only one run is known."""

INSTANCE_SPREAD = 0.015
"""Log standard deviation between instances of one type; a test of n instances averages it."""

AGE_SPREAD_PER_YEAR = 0.05
"""Log standard deviation a service's capacity drifts in a year of changes."""

NOT_PRODUCTION_LOSS = 0.15
"""A test outside production may flatter by this much (half-normal) where no service has been tested in both."""

MOCKED_LOSS = 0.05
"""A test with mocked dependencies may flatter by this much (half-normal)."""

VERSION_SPREAD = 0.05
"""Log standard deviation added when the version tested is not the version running."""

INSTANCE_TYPE_SPREAD = 0.15
"""Log standard deviation added when the instance type tested is not the one running."""

CLOSED_SPREAD = 0.05
"""Log standard deviation of reading a closed test as an open queue: how requests wait their turn, what is refused and
how fast a service falls past the tested users a closed test does not show. It is by how far such readings of simulated
services of nine kinds miss the simulated truth, less what steps and nights explain; see benchmarks/README.md."""

CLOSED_LOSS = 0.03
"""A closed test never sees requests refused: where the objective limits errors it may flatter by this (half-normal)."""

FEW_STEPS_SPREAD = 0.10
"""Log standard deviation added when fewer than four loads were tried: what lies between them is a guess."""

WITHOUT_SLO = 0.8
"""Share of the largest throughput that is called capacity where no latency objective is given."""

ERRORS_BREAK = 0.05
"""Fraction of errors above which a step never counts as served well, whatever the objective says."""

STABLE_SHARE = 0.97
"""Achieved over offered below which an open step was not keeping up."""

FLAT_ELASTICITY = 0.1
"""Throughput growth per growth of load below which the knee is behind."""

UNSEEN_LATENCY_LOSS = 0.18
"""Where nobody records latency, what was served without errors may lie beyond the objective by this much (half-normal):
an instance may have served at its very end, and an objective that holds up to 70 % of that, as utilization targets
commonly are set, lies two of these lower."""

PRODUCTION_RANK = 3
"""Production's lower bound is the third-busiest interval within the objective: one bad counter must not set it."""

API_COST_SPREAD = 0.5
"""Log standard deviation between what requests to APIs of one pool cost before a test tells them apart: two in three
lie between 0.6 and 1.6 times the typical cost."""

MIX_DIFFERS = 0.1
"""Share of requests that goes to another API than in the test, above which the mix is said to differ."""

FLEET_SPAN = 4.0
"""Largest over smallest fleet tested from which a fleet gets its own curve: twice as many show less of it than two
nights differ by."""
