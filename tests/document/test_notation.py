"""YAML by the 1.2 core schema and TOML, with lines."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capacity.document import parse_toml, parse_yaml, to_yaml
from capacity.errors import InputError

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**15), 10**15),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufeff\ufffe\uffff\u2028\u2029")),
    st.sampled_from(
        ["on", "no", "0o17", "1e5", "0x1F", "1_000", "12:30", "2026-11-11", "=", "<<", "~", "null", ".nan", ""]
    ),
)
KEYS = st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=10)
VALUES = st.recursive(SCALARS, lambda v: st.lists(v, max_size=4) | st.dictionaries(KEYS, v, max_size=4), max_leaves=12)


@given(VALUES)
def test_what_is_written_reads_back(value):
    assert parse_yaml(to_yaml(value), where="a").value == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("8.0e6", 8e6),
        ("8e6", 8e6),
        ("+1", 1),
        ("-0.5", -0.5),
        (".5", 0.5),
        ("5.", 5.0),
        ("017", 17),
        ("0o17", 15),
        ("0x1f", 31),
        ("-.inf", -math.inf),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("on", "on"),
        ("No", "No"),
        ("y", "y"),
        ("true", True),
        ("TRUE", True),
        ("tRUE", "tRUE"),
        ("~", None),
        ("null", None),
        ("Null", None),
        ("2026-11-11", "2026-11-11"),
        ("1e", "1e"),
        ("- 1", [1]),
        ("+", "+"),
        ("'1'", "1"),
        ('"true"', "true"),
        ("!!str 5", "5"),
        ("=", "="),
        ("9" * 5000, "9" * 5000),
        ("1e999", math.inf),
    ],
)
def test_core_schema(text, value):
    assert parse_yaml(text, where="a").value == value


def test_not_a_number():
    assert math.isnan(parse_yaml(".nan", where="a").value)


def test_lines_of_keys_items_and_missing_keys():
    document = parse_yaml(
        "# a comment\n- name: a\n  calls:\n    - to: b\n    - {to: c,\n       retries: 2}\n- name: b\n", where="a"
    )
    assert document.line_of((0, "name")) == 2
    assert document.line_of((0, "calls", 1, "retries")) == 6
    assert document.line_of((0, "calls", 0, "missing")) == 4
    assert document.line_of((1,)) == 7
    assert document.line_of((7, "x")) == 2


def test_a_key_twice_is_a_problem_and_the_first_stays():
    document = parse_yaml("a: 1\nb: {x: 1}\na: {y: [2]}\n", where="f")
    assert document.value == {"a": 1, "b": {"x": 1}}
    assert [p.where for p in document.problems] == ["f:3"]
    assert "line 1" in document.problems[0].remedy


def test_keys_are_text():
    assert parse_yaml("{on: 1, 2026: 2, null: 3}", where="a").value == {"on": 1, "2026": 2, "null": 3}


def test_anchors_are_read_and_shared():
    document = parse_yaml("a: &x {p: 1}\nb: *x\n", where="a")
    assert document.value == {"a": {"p": 1}, "b": {"p": 1}}


BOMB = "a: &a [1,1]\n" + "\n".join(f"{b}: &{b} [{','.join(['*' + a] * 9)}]" for a, b in pairwise("abcdefghij"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: [1, 2", "f:"),
        ("a:\n\tb: 1", "tab"),
        ("a: b: c", "quotes"),
        ("a: *x", "&x"),
        ("a: &x [*x]", "completed above"),
        ("a: \x00", "printable"),
        ("[" * 100 + "]" * 100, "50 levels"),
        ("'", "f:"),
        (BOMB, "multiply"),
    ],
    ids=["open", "tab", "colon", "alias", "self", "nul", "deep", "quote", "bomb"],
)
def test_what_is_not_yaml_is_explained(text, says):
    with pytest.raises(InputError, match="cannot be read") as caught:
        parse_yaml(text, where="f")
    assert says in str(caught.value)


@pytest.mark.parametrize(
    "text", ["a: !!python/object:os.system x", "a: !foo {b: 1}", "? [1, 2]\n: 3", "a: 1\n---\nb: 2\n"]
)
def test_tags_complex_keys_and_second_documents_are_problems(text):
    assert parse_yaml(text, where="f").problems


@given(st.text(max_size=60))
def test_any_text_is_read_or_explained(text):
    for parse in (parse_yaml, parse_toml):
        problems = explained(parse, text)
        assert all(problem.where.startswith("f") and problem.expected for problem in problems)


def explained(parse, text):
    try:
        return parse(text, where="f").problems
    except InputError as error:
        return error.problems


def test_toml_lines_and_errors():
    document = parse_toml('timezone = "UTC"\n\n[risk]\nzone_losses = 1\n"quoted" = 2\n', where="c")
    assert document.line_of(("timezone",)) == 1
    assert document.line_of(("risk", "zone_losses")) == 4
    assert document.line_of(("risk", "missing")) == 3
    with pytest.raises(InputError) as caught:
        parse_toml("a = 1\nb = \nc = 2", where="c")
    assert "c:2" in str(caught.value)
