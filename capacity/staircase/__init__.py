"""The next load tests: their steps, stop rules, order, windows, and who is told."""

from capacity.staircase.around import Downstream, Told
from capacity.staircase.make import plan_load_tests
from capacity.staircase.quiet import Window
from capacity.staircase.result import LoadTestPlan, PlannedTest
from capacity.staircase.rules import StopRule
from capacity.staircase.staircase import Staircase, plan_load_test
from capacity.staircase.steps import Known, step_seconds

__all__ = [
    "Downstream",
    "Known",
    "LoadTestPlan",
    "PlannedTest",
    "Staircase",
    "StopRule",
    "Told",
    "Window",
    "plan_load_test",
    "plan_load_tests",
    "step_seconds",
]
