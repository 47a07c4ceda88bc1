"""Drift between runs of a service: whether its capacity moved, by how much, and whether that is more than chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from capacity.loadtest import Gate
from capacity.loadtest.gate import Verdict

Array = NDArray[np.float64]

_Z = 1.6449
"""A change counts as drift where a 90 % interval of it leaves out zero."""
_ONE_NIGHT_YEARS = 2.0 / 365.25
"""Runs nearer together than this have no trend: what they differ by is the nights' spread."""


@dataclass(frozen=True)
class Drift:
    """How the capacity of an instance moved from the first run to the last.

    Attributes
    ----------
    change, low, high
        Relative change along the trend from the oldest to the newest run, and its 90 % interval from what runs differ
        by anyway; where runs have no order in time, the largest difference between two of them.
    per_year
        The same a year; NaN where runs have no order in time.
    exceeds
        Whether it is more than run-to-run spread explains.
    versions
        Versions of the first and the last run; None where they were not said.
    says
        The finding in words.
    """

    change: float
    low: float
    high: float
    per_year: float
    exceeds: bool
    versions: tuple[str | None, str | None]
    says: str

    @property
    def gate(self) -> Gate:
        """The finding as a gate."""
        verdict: Verdict = "flagged" if self.exceeds else "ok"
        remedy = "find out what changed, and repeat the test with the version that will run" if self.exceeds else ""
        margin = (self.high - self.low) / 2.0
        return Gate("drift_between_runs", verdict, abs(self.change), margin, self.says, remedy)

    def to_plain(self) -> dict[str, Any]:
        """As plain values for files; what is unknown is None."""
        per_year = self.per_year if np.isfinite(self.per_year) else None
        return {**asdict(self), "per_year": per_year, "versions": list(self.versions)}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Drift:
        """Rebuild from `to_plain`."""
        per_year = float("nan") if plain["per_year"] is None else float(plain["per_year"])
        first, last = plain["versions"]
        return cls(**{**plain, "per_year": per_year, "versions": (first, last)})


def find_drift(
    names: Sequence[str],
    log_qps: Array,
    covariance: Array,
    *,
    years_ago: Array,
    versions: Sequence[str | None],
) -> Drift:
    """Compare runs, in time order, along a line in time.

    Parameters
    ----------
    names, versions
        Of the runs.
    log_qps
        Log capacity per instance by each run, brought to one fleet size, (k,), k at least 2.
    covariance
        Of what runs differ by anyway, (k, k).
    years_ago
        Age of each run against the newest, (k,); NaN unknown.

    Examples
    --------
    >>> found = find_drift(
    ...     ["old", "new"], np.log([100.0, 80.0]), 4e-4 * np.eye(2), years_ago=np.array([1.0, 0.0]), versions=["1", "2"]
    ... )
    >>> round(found.change, 2), found.exceeds, found.says
    (-0.2, True, 'capacity changed by -20% (-24% to -16%) from old (version 1) to new (version 2), -20% a year: more \
than runs differ by anyway; newer runs weigh more and the interval is wider')
    """
    dated = np.isfinite(years_ago)
    span = float(np.ptp(years_ago[dated])) if dated.sum() >= 2 else 0.0
    if span > _ONE_NIGHT_YEARS:
        rows = np.flatnonzero(dated)
        oldest, newest = rows[np.argmax(years_ago[rows])], rows[np.argmin(years_ago[rows])]
        each, sd = _slope(log_qps[rows], covariance[np.ix_(rows, rows)], -years_ago[rows])
        middle, margin = each * span, _Z * sd * span
        per_year = float(np.expm1(each))
    else:
        newest, oldest = int(np.argmax(log_qps)), int(np.argmin(log_qps))
        middle = float(log_qps[newest] - log_qps[oldest])
        pair = np.ix_([newest, oldest], [newest, oldest])
        variance = float(np.array([1.0, -1.0]) @ covariance[pair] @ np.array([1.0, -1.0]))
        # The largest of many differences is larger by chance than one is.
        margin = _Z * np.sqrt(variance * max(1.0, np.log2(len(log_qps))))
        per_year = float("nan")
    change, low, high = (float(np.expm1(v)) for v in (middle, middle - margin, middle + margin))
    exceeds = bool(abs(middle) > margin)
    ends = (versions[oldest], versions[newest])
    first, last = (names[i] + (f" (version {v})" if v else "") for i, v in zip((oldest, newest), ends, strict=True))
    rate = f", {per_year:+.0%} a year" if np.isfinite(per_year) and span >= 0.25 else ""
    moved = f"capacity changed by {change:+.0%} ({low:+.0%} to {high:+.0%}) from {first} to {last}{rate}"
    if not np.isfinite(per_year):
        moved = f"runs of unknown or equal date differ by {change:.0%}, from {first} to {last}"
    verdict = (
        "more than runs differ by anyway; newer runs weigh more and the interval is wider"
        if exceeds
        else "no more than runs differ by anyway"
    )
    return Drift(change, low, high, per_year, exceeds, ends, f"{moved}: {verdict}")


def _slope(y: Array, covariance: Array, x: Array) -> tuple[float, float]:
    """Slope of a line through points with correlated errors, and its standard deviation."""
    design = np.stack([np.ones_like(x), x], axis=1)
    inverse = np.linalg.inv(covariance)
    known = np.linalg.inv(design.T @ inverse @ design)
    return float((known @ design.T @ inverse @ y)[1]), float(np.sqrt(known[1, 1]))
