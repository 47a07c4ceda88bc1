"""One check of a load test: its verdict, the number behind it, its consequence and its remedy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["ok", "flagged", "bounded", "excluded", "unknown"]


@dataclass(frozen=True)
class Gate:
    """One check of a run or of one of its steps.

    Attributes
    ----------
    name
        What was checked.
    verdict
        ``ok``; ``flagged``: used, and said; ``bounded``: the run gives a lower bound only; ``excluded``: not used;
        ``unknown``: the file does not say enough.
    value, threshold
        The number behind the verdict and where it turns; None where there is none.
    says
        The finding and its consequence, in words.
    remedy
        What to do about it.
    step
        Index of the step, None for the whole run.
    """

    name: str
    verdict: Verdict
    value: float | None = None
    threshold: float | None = None
    says: str = ""
    remedy: str = ""
    step: int | None = None
