"""What the promotion came to, for technology, product and business: from data, and as named fields that people fill."""

from typing import TYPE_CHECKING

import pandas as pd
from pydantic import Field

from capacity.document import check_document, to_yaml
from capacity.document.contract import Contract, Fraction, NonNegative, Number, Text
from capacity.lessons import Action
from capacity.retrospective.frames import rows_of
from capacity.retrospective.tactics import Tactic

if TYPE_CHECKING:
    from capacity.retrospective.result import Review

TO_FILL = "to be filled in"


class Technical(Contract):
    """What data do not tell of technology."""

    root_causes: Text = ""
    data_lost: Text = ""


class Product(Contract):
    """What data do not tell of the product."""

    page_load_p75_ms: NonNegative | None = None
    app_crash_fraction: Fraction | None = None
    complaints: NonNegative | None = None
    notes: Text = ""


class Business(Contract):
    """What data do not tell of the business; money in the workspace's currency."""

    revenue: NonNegative | None = None
    gross_margin_fraction: Number | None = None
    refunded_fraction: Fraction | None = None
    campaign_cost: NonNegative | None = None
    notes: Text = ""


class Filled(Contract):
    """A review as it is kept: what people filled in, what worked, what is left to do."""

    technical: Technical = Technical()
    product: Product = Product()
    business: Business = Business()
    tactics: list[Tactic] = Field(default_factory=list)
    actions: list[Action] = Field(default_factory=list)


def parse_filled(text: str, *, where: str) -> Filled:
    """Read ``data/reviews/ID.yaml``.

    Raises
    ------
    InputError
        With every problem of the file.
    """
    found: Filled = check_document(text, model=Filled, where=where)
    return found


def write_filled(filled: Filled) -> str:
    """Write it as YAML, with every field that waits for somebody."""
    document = filled.model_dump(mode="json")
    head = (
        "# What people know of this promotion; empty means unknown. Kept by `capacity retrospective`, never emptied.\n"
    )
    return head + to_yaml(document)


def outcomes_frame(review: "Review", filled: Filled | None) -> pd.DataFrame:
    """Return ``area, name, value, unit, source``: from data where they exist, else from people, or to be filled in.

    Parameters
    ----------
    review
        What data tell.
    filled
        What people told; None when nobody did.
    """
    rows = [*_technical(review), *_product(review), *_business(review)]
    for area in ("technical", "product", "business"):
        told = getattr(filled or Filled(), area)
        for name in type(told).model_fields:
            value = getattr(told, name)
            known = value not in (None, "")
            rows.append((area, name, value if known else None, _unit(name), "told" if known else TO_FILL))
    frame = pd.DataFrame(rows, columns=["area", "name", "value", "unit", "source"])
    order = {"technical": 0, "product": 1, "business": 2}
    return frame.sort_values("area", key=lambda area: area.map(order), kind="stable", ignore_index=True)


def _technical(review: "Review") -> list[tuple[str, str, object, str, str]]:
    capacity = review.capacity
    broken, judged = (float(capacity[name].sum()) for name in ("slo_minutes_broken", "slo_minutes_judged"))
    kept = 1.0 - broken / judged if judged else None
    return [
        ("technical", "objectives kept", kept, "share of service minutes", "data"),
        ("technical", "incidents", len(review.incidents), "incidents", "journal"),
        ("technical", "turned away", float(capacity["rejected"].sum()), "requests", "data"),
    ]


def _product(review: "Review") -> list[tuple[str, str, object, str, str]]:
    actual = {(row["metric"], row["date"]): row["actual"] for row in rows_of(review.demand) if row["in_promotion"]}
    days = sorted({day for _, day in actual})
    shares = [
        actual["dat", day] / actual["dau", day] for day in days if ("dat", day) in actual and actual.get(("dau", day))
    ]
    return [("product", "orders per user, best day", max(shares) if shares else None, "orders", "data")]


def _business(review: "Review") -> list[tuple[str, str, object, str, str]]:
    inside = review.demand[(review.demand["metric"] == "dat") & review.demand["in_promotion"]]
    rows: list[tuple[str, str, object, str, str]] = [
        ("business", "orders", float(inside["actual"].sum()), "orders", "data")
    ]
    for row in rows_of(review.estimates):
        if row["metric"] == "dat" and row["mid"]:
            ratio = float(row["actual"] / row["mid"])
            rows.append(("business", "largest day ÷ the business's own estimate", ratio, "ratio", "data"))
    return rows


def _unit(name: str) -> str:
    return next((unit for end, unit in (("_ms", "ms"), ("_fraction", "fraction")) if name.endswith(end)), "")
