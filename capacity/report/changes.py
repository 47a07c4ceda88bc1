"""What changed between two runs of a report, by their metrics.json."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from capacity.display.numbers import format_number, format_percent

SMALL = 0.005  # relative: what two runs on the same inputs may differ by when only their sampling does


@dataclass(frozen=True)
class Change:
    """One number that moved.

    Attributes
    ----------
    name, unit
        Of the metric.
    before, after
        Its values; None where it was or is not known.
    """

    name: str
    unit: str
    before: Any
    after: Any

    @property
    def relative(self) -> float:
        """Change as a share of the value before; infinite where that was nothing or unknown."""
        if not (_is_number(self.before) and _is_number(self.after)) or self.before == 0:
            return math.inf
        return float(self.after) / float(self.before) - 1.0

    def __str__(self) -> str:
        move = f" ({self.relative:+.1%})" if math.isfinite(self.relative) else ""
        unit = f" {self.unit}" if self.unit and self.unit != "fraction" else ""
        return f"{self.name.replace('_', ' ')}: {self._said(self.before)} → {self._said(self.after)}{unit}{move}"

    def _said(self, value: Any) -> str:
        if value is None:
            return "unknown"
        if isinstance(value, bool):
            return "yes" if value else "no"
        if not _is_number(value):
            return str(value)
        return format_percent(value) if self.unit == "fraction" else format_number(float(value))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def compare(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Change, ...]:
    """Return the metrics that moved between two ``metrics.json``, the largest relative move first.

    Examples
    --------
    >>> then = {"metrics": [{"name": "cost", "value": 100.0, "unit": "CNY/h"}]}
    >>> print(compare(then, {"metrics": [{"name": "cost", "value": 110.0, "unit": "CNY/h"}]})[0])
    cost: 100 → 110 CNY/h (+10.0%)
    """
    old = {item["name"]: item for item in before.get("metrics", ())}
    new = {item["name"]: item for item in after.get("metrics", ())}
    found = [
        Change(
            name,
            str((new.get(name) or old[name]).get("unit", "")),
            (old.get(name) or {}).get("value"),
            (new.get(name) or {}).get("value"),
        )
        for name in dict.fromkeys([*old, *new])
    ]
    moved = [change for change in found if change.before != change.after and abs(change.relative) > SMALL]
    return tuple(sorted(moved, key=lambda change: -abs(change.relative)))
