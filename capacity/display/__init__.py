"""Tables, figures, numbers and escaping, in one house style.

Knows arrays and frames, and no result type. matplotlib is imported by `capacity.display.figures`
alone, so that tables stay cheap: import figures from there.
"""

from capacity.display.escape import escape, plain, safe_slug
from capacity.display.numbers import (
    format_number,
    format_odds,
    format_percent,
    format_qps,
    format_seconds,
)
from capacity.display.tables import to_html, to_text

__all__ = [
    "escape",
    "format_number",
    "format_odds",
    "format_percent",
    "format_qps",
    "format_seconds",
    "plain",
    "safe_slug",
    "to_html",
    "to_text",
]
