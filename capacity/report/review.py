"""Parts of the retrospective's page, and what the next kick-off takes from it."""

from typing import TYPE_CHECKING

import pandas as pd

from capacity.report.narrate import Table
from capacity.retrospective import compare_earlier, find_tactics, outcomes_frame, tactics_frame

if TYPE_CHECKING:
    from capacity.retrospective import Review
    from capacity.workspace import Workspace


def review_outcomes(ws: "Workspace", review: "Review") -> Table:
    """Return technical, product and business outcomes: from data, told by people, or to be filled in."""
    return Table(outcomes_frame(review, ws.kept_review(review.promotion.id)), {})


def review_tactics(ws: "Workspace", review: "Review") -> Table:
    """Return what worked."""
    return Table(tactics_frame(find_tactics(review, ws.journal(review.promotion.id))), {})


def review_earlier(ws: "Workspace", review: "Review") -> Table:
    """Return the promotion beside the earlier ones of its kind."""
    units = {"hours": "h", "dau": "people", "dat": "orders", "peak_tps": "orders/s"}
    return Table(compare_earlier(review, ws.promotions.before(review.promotion.starts_at).values()), units)


def tactics_at_hand(ws: "Workspace", promotion_id: str) -> Table:
    """Return what worked at earlier promotions of the kind, the newest first, as their kept reviews say."""
    promotion = ws.promotions[promotion_id]
    earlier = ws.promotions.of_kind(promotion.kind).before(promotion.starts_at).values()
    kept = [(one.id, ws.kept_review(one.id)) for one in sorted(earlier, key=lambda one: one.starts_at, reverse=True)]
    rows = [
        (name, tactic.way.replace("_", " "), tactic.service, tactic.says)
        for name, review in kept
        if review is not None
        for tactic in review.tactics
    ]
    return Table(pd.DataFrame(rows, columns=["promotion", "way", "service", "says"]), {})
