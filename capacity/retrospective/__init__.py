"""After the promotion: forecast and plan against what happened, and what the next one learns from it."""

from capacity.retrospective.result import Review
from capacity.retrospective.review import review

__all__ = ["Review", "review"]
