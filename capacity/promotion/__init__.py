"""Promotions, past and coming: the brief of each as written in data/promotions.yaml."""

from capacity.document.contract import Range
from capacity.promotion.brief import Actual, Expectation, Freeze, Inventory, Promotion, ThirdPartyTerm
from capacity.promotion.calendar import Promotions, parse_promotions
from capacity.promotion.phases import Phase, elapsed, shift

__all__ = [
    "Actual",
    "Expectation",
    "Freeze",
    "Inventory",
    "Phase",
    "Promotion",
    "Promotions",
    "Range",
    "ThirdPartyTerm",
    "elapsed",
    "parse_promotions",
    "shift",
]
