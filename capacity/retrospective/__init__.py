"""After the promotion: forecast and plan against what happened, and what the next one learns from it."""

from capacity.retrospective.earlier import compare_earlier
from capacity.retrospective.outcomes import Filled, outcomes_frame, parse_filled, write_filled
from capacity.retrospective.result import Review
from capacity.retrospective.review import review
from capacity.retrospective.tactics import Tactic, find_tactics, tactics_frame

__all__ = [
    "Filled",
    "Review",
    "Tactic",
    "compare_earlier",
    "find_tactics",
    "outcomes_frame",
    "parse_filled",
    "review",
    "tactics_frame",
    "write_filled",
]
