"""demo."""

from capacity.demo.company import Company, make_company
from capacity.demo.truth import Truth, parse_truth, read_truth

__all__ = ["Company", "Truth", "make_company", "parse_truth", "read_truth"]
