"""The evaluation of every service before a promotion: what is known, what it will get, what it takes, what is open."""

from capacity.plan.evaluation.evaluate import Evaluation, evaluate
from capacity.plan.evaluation.gaps import Gap, find_gaps

__all__ = ["Evaluation", "Gap", "evaluate", "find_gaps"]
