"""Tables: everything escaped, units shown, unknown as a dash."""

import unicodedata
from datetime import date
from html.parser import HTMLParser

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from capacity.display.tables import format_cell, to_html, to_text


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.seen, self.text = set(), []

    def handle_starttag(self, tag, attrs):
        self.seen |= {tag, *(name for name, _ in attrs)}

    def handle_data(self, data):
        self.text.append(data)


def parse(html):
    tags = Tags()
    tags.feed(html)
    return tags


@given(st.text(min_size=1), st.text(), st.text(), st.text())
def test_no_text_becomes_markup(column, cell, unit, caption):
    frame = pd.DataFrame({column: [cell]}, dtype=object)
    seen = parse(to_html(frame, units={column: unit}, caption=caption)).seen
    assert seen <= {"table", "caption", "thead", "tbody", "tr", "th", "td", "br", "span", "style", "scope"}


@given(st.lists(st.text(min_size=1), min_size=1, max_size=5))
def test_a_text_table_is_one_line_a_row_without_control_characters(names):
    lines = to_text(pd.DataFrame({"name": names, "n": range(len(names))})).split("\n")
    assert len(lines) == 2 + len(names)
    assert all(unicodedata.category(c) not in {"Cc", "Cs"} for line in lines for c in line)


def test_unknown_is_a_dash_never_nan():
    frame = pd.DataFrame(
        {
            "a": [1.0, np.nan],
            "b": pd.array([1, None], dtype="Int64"),
            "c": [pd.Timestamp("2026-11-11"), pd.NaT],
            "d": ["x", None],
        }
    )
    text = to_text(frame)
    assert text.count("–") == 4
    assert "nan" not in text.lower()
    assert "NaT" not in text
    assert "<NA>" not in to_html(frame)


def test_times_days_and_collections():
    assert format_cell(pd.Timestamp("2026-11-10T20:00:07+08:00")) == "2026-11-10 20:00:07+08:00"
    assert format_cell(pd.Timestamp("2026-11-10")) == "2026-11-10"
    assert format_cell(date(2026, 11, 10)) == "2026-11-10"
    assert format_cell(("inventory", "order-db")) == "inventory, order-db"
    assert format_cell(np.bool_(True)) == "yes"


def test_a_named_index_is_shown_and_long_frames_say_what_is_left_out():
    frame = pd.DataFrame({"n": range(1000)}, index=pd.Index(range(1000), name="day"))
    html = to_html(frame, max_rows=10)
    assert "10 of 1,000 rows" in html
    assert "day" in html


def test_units_stand_in_the_header():
    html = to_html(pd.DataFrame({"peak_qps": [1.0]}), units={"peak_qps": "requests/s"})
    head = html.split("</thead>")[0]
    assert "peak qps" in head
    assert "requests/s" in head


def test_empty_frames():
    assert parse(to_html(pd.DataFrame())).seen >= {"table"}
    assert "service" in to_text(pd.DataFrame({"service": []}))
    assert to_html(pd.DataFrame({"service": []}), max_rows=5)


def test_columns_of_two_levels():
    frame = pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("q", "05"), ("q", "95")]))
    assert "q, 05" in to_text(frame)
