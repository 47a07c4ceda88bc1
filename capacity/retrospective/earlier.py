"""A promotion beside the earlier ones of its kind."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import pandas as pd

from capacity.promotion import Promotion

if TYPE_CHECKING:
    from capacity.retrospective.result import Review


def compare_earlier(review: "Review", earlier: Iterable[Promotion]) -> pd.DataFrame:
    """Return one row a promotion of the kind, the newest first, and how each compares with the one before it.

    Parameters
    ----------
    review
        Of this promotion: its orders and people are those that came.
    earlier
        Promotions before it, of any kind; what is remembered of them is in their ``actual``.
    """
    own = [one for one in earlier if one.kind == review.promotion.kind and one.id != review.promotion.id]
    rows = [_this(review), *(_of(one) for one in sorted(own, key=lambda one: one.starts_at, reverse=True))]
    frame = pd.DataFrame(
        rows, columns=["promotion", "hours", "intensity", "dau", "dat", "dat_per_dau", "peak_tps", "peak_at"]
    )
    for metric in ("dau", "dat", "peak_tps"):
        values = pd.to_numeric(frame[metric])
        frame[f"{metric}_growth"] = values / values.shift(-1) - 1.0
    return frame


def _this(review: "Review") -> dict[str, Any]:
    inside = review.demand[review.demand["in_promotion"]]
    largest = inside.groupby("metric")["actual"].max()
    return _row(review.promotion, largest.get("dau"), largest.get("dat"), *_orders(review))


def _orders(review: "Review") -> tuple[Any, Any]:
    """Return the busiest second of orders and when it was; unknown where the promotion's own record says nothing."""
    actual = review.promotion.actual
    return (None, None) if actual is None else (actual.peak_tps, actual.peak_at)


def _of(promotion: Promotion) -> dict[str, Any]:
    actual = promotion.actual
    if actual is None:
        return _row(promotion, None, None, None, None)
    return _row(promotion, actual.dau, actual.dat, actual.peak_tps, actual.peak_at)


def _row(promotion: Promotion, dau: Any, dat: Any, peak_tps: Any, peak_at: Any) -> dict[str, Any]:
    hours = (promotion.ends_at - promotion.starts_at).total_seconds() / 3600
    return {
        "promotion": promotion.id, "hours": hours, "intensity": promotion.intensity, "dau": dau, "dat": dat,
        "dat_per_dau": dat / dau if dau and dat else None, "peak_tps": peak_tps, "peak_at": peak_at,
    }  # fmt: skip
