"""Frames as readable tables: HTML with thin rules and units in the header, or plain text."""

import math
import unicodedata
from collections.abc import Mapping
from datetime import date, datetime
from numbers import Real
from typing import TYPE_CHECKING, Any

from capacity.display.escape import escape, plain
from capacity.display.numbers import format_number

if TYPE_CHECKING:
    import pandas as pd

_UNKNOWN = "–"
# Inline, since a notebook strips style sheets; inherits colours, so that dark pages work too.
_TABLE = "border-collapse:collapse;font-variant-numeric:tabular-nums;border-top:1px solid;border-bottom:1px solid"
_HEAD = "padding:.2em .8em;border-bottom:1px solid;vertical-align:bottom;font-weight:600;text-align:"
_CELL = "padding:.2em .8em;text-align:"
_CAPTION = "caption-side:top;text-align:left;padding:.2em .8em;font-weight:600"
_UNIT = "font-weight:400;opacity:.7"


def to_html(
    frame: "pd.DataFrame",
    *,
    units: Mapping[str, str] | None = None,
    caption: str = "",
    max_rows: int | None = None,
) -> str:
    """Render a frame as one HTML table; every text in it is escaped.

    Parameters
    ----------
    frame
        Any frame. A named or non-default index becomes leading columns.
    units
        Unit of a column, shown under its name.
    caption
        Text above the table.
    max_rows
        Show at most so many rows and say how many there are.

    Returns
    -------
    str
        A ``<table>`` that needs no style sheet.

    Examples
    --------
    >>> import pandas as pd
    >>> html = to_html(pd.DataFrame({"service": ["<b>"], "peak": [8400.0]}), units={"peak": "requests/s"})
    >>> "&lt;b&gt;" in html, "requests/s" in html, "8,400" in html
    (True, True, True)
    """
    flat, shown = _flat(frame, max_rows)
    aligns = [_alignment(flat, position) for position in range(flat.shape[1])]
    head = "".join(
        f'<th scope="col" style="{_HEAD}{align}">{escape(_header(name))}{_unit_html(name, units)}</th>'
        for name, align in zip(flat.columns, aligns, strict=True)
    )
    body = "".join(
        "<tr>" + "".join(f'<td style="{_CELL}{a}">{escape(c)}</td>' for c, a in zip(row, aligns, strict=True)) + "</tr>"
        for row in shown
    )
    title = f'<caption style="{_CAPTION}">{escape(caption)}</caption>' if caption else ""
    note = _note(len(shown), len(flat))
    foot = f'<tfoot><tr><td colspan="{max(1, len(aligns))}">{escape(note)}</td></tr></tfoot>' if note else ""
    return f'<table style="{_TABLE}">{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody>{foot}</table>'


def to_text(
    frame: "pd.DataFrame",
    *,
    units: Mapping[str, str] | None = None,
    caption: str = "",
    max_rows: int | None = None,
) -> str:
    """Render a frame as plain aligned text; wide characters count as two columns.

    Parameters
    ----------
    frame, units, caption, max_rows
        As for `to_html`.

    Returns
    -------
    str
        Lines without control characters, without a final line break.

    Examples
    --------
    >>> import pandas as pd
    >>> print(to_text(pd.DataFrame({"service": ["checkout", "搜索"], "peak": [8400, 12]}), units={"peak": "/s"}))
    service   peak
                /s
    ────────  ─────
    checkout  8,400
    搜索         12
    """
    flat, shown = _flat(frame, max_rows)
    aligns = [_alignment(flat, position) for position in range(flat.shape[1])]
    header = [plain(_header(name)) for name in flat.columns]
    unit = [plain((units or {}).get(str(name), "")) for name in flat.columns]
    rows = [[plain(cell) for cell in row] for row in shown]
    top = [header, unit] if any(unit) else [header]
    widths = [max(_width(row[i]) for row in [*top, *rows]) for i in range(len(header))]
    lines = [plain(caption)] if caption else []
    lines += [_line(row, widths, aligns) for row in top]
    lines.append("  ".join("─" * width for width in widths))
    lines += [_line(row, widths, aligns) for row in rows]
    if note := _note(len(shown), len(flat)):
        lines.append(note)
    return "\n".join(lines)


def format_cell(value: Any) -> str:
    """Write one value of a frame: unknown is a dash, times are ISO to the second, numbers rounded.

    Examples
    --------
    >>> format_cell(None), format_cell(1234567.0), format_cell(True), format_cell("x")
    ('–', '1.23 M', 'yes', 'x')
    """
    if value is None or _is_missing(value):
        return _UNKNOWN
    if type(value).__name__ in {"bool", "bool_"}:
        return "yes" if value else "no"
    if isinstance(value, Real):
        return format_number(float(value))
    if isinstance(value, datetime):
        return _moment(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, (tuple, list, set, frozenset)):
        return ", ".join(format_cell(item) for item in value)
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {format_cell(item)}" for key, item in value.items())
    return str(value)


def _moment(value: datetime) -> str:
    # A column of days holds midnights without a zone; the clock would be noise there.
    if value.tzinfo is None and (value.hour, value.minute, value.second, value.microsecond) == (0, 0, 0, 0):
        return value.date().isoformat()
    return value.isoformat(sep=" ", timespec="seconds")


def _is_missing(value: Any) -> bool:
    if isinstance(value, float):
        return math.isnan(value)
    return type(value).__name__ in {"NAType", "NaTType"}


def _flat(frame: "pd.DataFrame", max_rows: int | None) -> "tuple[pd.DataFrame, list[list[str]]]":
    plain_index = frame.index.nlevels == 1 and frame.index.name is None and frame.index.inferred_type == "integer"
    flat = frame if plain_index else frame.reset_index()
    head = flat if max_rows is None else flat.head(max_rows)
    columns = [[format_cell(v) for v in head.iloc[:, i]] for i in range(head.shape[1])]
    rows = [list(cells) for cells in zip(*columns, strict=True)] if columns else []
    return flat, rows


def _alignment(frame: "pd.DataFrame", position: int) -> str:
    return "right" if frame.dtypes.iloc[position].kind in "iufc" else "left"


def _header(name: object) -> str:
    text = ", ".join(str(part) for part in name) if isinstance(name, tuple) else str(name)
    return text.replace("_", " ")


def _unit_html(name: object, units: Mapping[str, str] | None) -> str:
    unit = (units or {}).get(str(name), "")
    return f'<br><span style="{_UNIT}">{escape(unit)}</span>' if unit else ""


def _note(shown: int, total: int) -> str:
    return f"{shown:,} of {total:,} rows" if shown < total else ""


def _width(text: str) -> int:
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def _line(cells: list[str], widths: list[int], aligns: list[str]) -> str:
    padded = (
        " " * (width - _width(cell)) + cell if align == "right" else cell + " " * (width - _width(cell))
        for cell, width, align in zip(cells, widths, aligns, strict=True)
    )
    return "  ".join(padded).rstrip()
