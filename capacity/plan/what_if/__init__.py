"""What if: a plan beside what one change would make of it."""

from capacity.plan.what_if.changes import Changes, check_changes
from capacity.plan.what_if.compare import what_if
from capacity.plan.what_if.result import Difference

__all__ = ["Changes", "Difference", "check_changes", "what_if"]
