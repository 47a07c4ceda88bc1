"""Names that files give to requests and steps, no more of them than a run can mean."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from capacity.loadtest.steady import Span

Ints = NDArray[np.int64]

_MOST_NAMES = 10_000
_MOST_SPANS = 1_000

OTHERS = "(other names)"
"""What requests are counted under where a file has more names than can be told apart, as where each URL is its own."""


class Names:
    """Requests by name.

    Examples
    --------
    >>> names = Names()
    >>> names.add(np.array([0, 1, 1]), ["/a", "/b"])
    >>> names.counts
    {'/a': 1, '/b': 2}
    """

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}

    def add(self, codes: Ints, words: Sequence[str]) -> None:
        """Count requests by codes of words, (n,)."""
        places, counts = np.unique(codes, return_counts=True)
        for place, count in zip(places.tolist(), counts.tolist(), strict=True):
            word = words[place]
            if word not in self.counts and len(self.counts) >= _MOST_NAMES:
                word = OTHERS
            self.counts[word] = self.counts.get(word, 0) + count

    def missing(self, only: Collection[str]) -> str:
        """Say what names there are where none of those asked for is."""
        known = ", ".join(sorted(self.counts)[:10])
        return f"none of {', '.join(sorted(only)[:10])} among {known or 'no names'}"


class Spans:
    """When each named step was, and its requests; more names than steps can be are no names of steps.

    Examples
    --------
    >>> spans = Spans()
    >>> spans.add("a", 3.0, 5.0, 2)
    >>> spans.add("a", 1.0, 4.0, 1)
    >>> spans.found()
    [Span(begins_s=1.0, ends_s=5.0, label='a')]
    >>> spans.shares()
    {'a': 1.0}
    """

    def __init__(self) -> None:
        self._of: dict[str, tuple[float, float, int]] = {}
        self._too_many = False
        self.begins_s = np.inf

    def add(self, label: str, begins_s: float, ends_s: float, requests: int) -> None:
        """Note requests of a step that lie between two times, seconds since 1970."""
        self.begins_s = min(self.begins_s, begins_s)
        old = self._of.get(label, (np.inf, -np.inf, 0))
        if not self._too_many:
            self._of[label] = (min(old[0], begins_s), max(old[1], ends_s), old[2] + requests)
        if len(self._of) > _MOST_SPANS:
            self._too_many = True
            self._of.clear()

    def found(self) -> list[Span]:
        """Give the steps."""
        return [Span(begins, ends, label) for label, (begins, ends, _) in self._of.items()]

    def shares(self) -> dict[str, float]:
        """Give each step's share of the requests."""
        total = sum(count for _, _, count in self._of.values())
        return {label: count / total for label, (_, _, count) in self._of.items()}
