"""Escaping: nothing that a file contains steers a page, a terminal or a path."""

import html
import unicodedata
from pathlib import PurePosixPath

from hypothesis import given
from hypothesis import strategies as st

from capacity.display.escape import escape, plain, safe_slug


@given(st.text())
def test_escaped_text_has_no_markup_and_reads_back(text):
    escaped = escape(text)
    assert not set("<>\"'") & set(escaped)
    assert html.unescape(escaped) == plain(text) or "&" in text


@given(st.text())
def test_plain_text_has_no_control_characters(text):
    assert all(unicodedata.category(c) not in {"Cc", "Cs"} for c in plain(text))
    assert plain(plain(text)) == plain(text)


def test_marks_that_reorder_text_are_removed_and_joiners_kept():
    assert plain("a\u202eb") == "a\ufffdb"
    assert plain("👩\u200d💻") == "👩\u200d💻"


@given(st.text())
def test_a_slug_is_one_safe_path_component(name):
    slug = safe_slug(name)
    assert 0 < len(slug) <= 80
    assert len(slug.encode()) <= 255
    assert not slug.startswith(".")
    assert PurePosixPath("x", slug).parts == ("x", slug)
    assert plain(slug) == slug


@given(st.text(max_size=30), st.text(max_size=30))
def test_different_names_have_different_slugs(one, other):
    assert (safe_slug(one) == safe_slug(other)) == (one == other)


def test_slugs_of_hostile_names():
    for name in ("..", ".", "", "/", "a/b", "a\\b", "con\x00", "~", "-rf", " ", "a" * 500, "x\n", "🛒"):
        assert safe_slug(name) != name
    for name in ("2026-double11", "双十一-2026", "checkout_v2.1"):
        assert safe_slug(name) == name
