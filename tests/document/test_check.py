"""Checks: all problems of a file at once, each with its place."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from capacity.document import Contract, Fault, check_document, read_text, read_toml, read_yaml, require_zone, to_yaml
from capacity.document.contract import Count, Flag, Fraction, Moment, Name, NonNegative, Range
from capacity.errors import InputError


class Leaf(Contract):
    share: Fraction = 0.5
    count: Count = 1
    on: Flag = False

    def faults(self):
        if self.on and self.count == 0:
            yield Fault(("count",), "0", "more than 0 when on")


class Item(Contract):
    name: Name
    leaf: Leaf | None = None
    leaves: tuple[Leaf, ...] = ()
    rates: dict[Name, NonNegative] = Field(default_factory=dict)
    guess: Range | None = None


def problems(text, model=list[Item], **options):
    with pytest.raises(InputError) as caught:
        check_document(text, model=model, where="f.yaml", **options)
    return [str(problem) for problem in caught.value.problems]


def test_all_problems_of_a_file_at_once_in_the_order_of_its_lines():
    found = problems("""
- name: a
  leaf: {share: 1.5, count: 2.5, on: yes}
  leafs: []
- name: b
  leaves: [{share: -0.1}, {coun: 1}, 7]
  rates: {x: .nan, y: .inf, z: many}
- leaf: {}
- name: c
  guess: {low: 3, mid: 2, high: 1}
""")
    assert [line.split(": got")[0] for line in found] == [
        "f.yaml:3 a.leaf.share",
        "f.yaml:3 a.leaf.count",
        "f.yaml:3 a.leaf.on",
        "f.yaml:4 a.leafs",
        "f.yaml:6 b.leaves[0].share",
        "f.yaml:6 b.leaves[1].coun",
        "f.yaml:6 b.leaves[2]",
        "f.yaml:7 b.rates.x",
        "f.yaml:7 b.rates.y",
        "f.yaml:7 b.rates.z",
        "f.yaml:8 [2].name",
        "f.yaml:10 c.guess.mid",
        "f.yaml:10 c.guess.high",
    ]
    assert "did you mean 'leaf'?" in found[3] or "did you mean 'leaves'?" in found[3]
    assert "did you mean 'count'?" in found[5]
    assert "a mapping" in found[6]


def test_faults_between_keys_are_told_beside_faults_of_other_keys():
    found = problems("[{name: a, leaf: {on: true, count: 0}, typo: 1}]")
    assert len(found) == 2
    assert "a.leaf.count: got 0, expected more than 0 when on" in found[0] + found[1]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "an empty file, expected a list; write [] for an empty list"),
        ("# only a comment", "an empty file"),
        ("a: 1", "a mapping, expected a list"),
        ("text", "'text', expected a list"),
        ("- ", "nothing, expected a mapping"),
        ("- [1]", "a list of 1, expected a mapping"),
    ],
)
def test_the_wrong_kind_of_document(text, says):
    assert says in problems(text)[0]


def test_a_list_where_a_mapping_is_expected():
    assert "a list of 2, expected a mapping" in problems("[1, 2]", model=Leaf)[0]
    assert "an empty file" in problems("", model=Leaf)[0]


def test_an_empty_list_is_fine():
    assert check_document("[]", model=list[Item], where="f") == []


def test_an_empty_key_is_unknown_not_zero_but_an_empty_typo_is_a_typo():
    assert check_document("{share: , count: ~}", model=Leaf, where="f") == Leaf()
    assert "did you mean 'share'?" in problems("{shar: }", model=Leaf)[0]
    assert "got nothing, expected this key" in problems("[{name: }]")[0]


@pytest.mark.parametrize(
    ("value", "key"),
    [
        ("'5'", "count"),
        ("true", "count"),
        ("true", "share"),
        ("1", "on"),
        ("1e400", "share"),
        ("1" * 400, "count"),
        ("[1]", "share"),
        ("{a: 1}", "count"),
        ("-1", "count"),
        ("1.5", "count"),
        (".nan", "count"),
        ("1e18", "count"),
    ],
)
def test_nothing_is_guessed_from_the_wrong_type(value, key):
    found = problems(f"{{{key}: {value}}}", model=Leaf)
    assert len(found) == 1
    assert len(found[0]) < 300


def test_counts_may_be_written_with_an_exponent():
    assert check_document("count: 1.2e6", model=Leaf, where="f").count == 1_200_000


def test_problems_of_the_notation_stand_beside_those_of_the_content():
    found = problems("- name: a\n  name: b\n  typo: 1\n")
    assert len(found) == 2


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read_yaml(tmp_path / "none.yaml", model=Leaf, name="data/none.yaml")
    with pytest.raises(InputError, match="cannot be read"):
        read_text(tmp_path)
    latin = tmp_path / "latin.yaml"
    latin.write_bytes("share: 0.5\n# caf\xe9".encode("latin-1"))
    with pytest.raises(InputError, match="0xe9") as caught:
        read_yaml(latin, model=Leaf, name="data/latin.yaml")
    assert "data/latin.yaml:2" in str(caught.value)
    assert "UTF-8" in str(caught.value)


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path):
    path = tmp_path / "a.toml"
    path.write_bytes(b"\xef\xbb\xbfcount = 3\n")
    assert read_toml(path, model=Leaf).count == 3


def test_ten_thousand_problems_are_told_in_seconds():
    text = "\n".join(f"- {{name: n{n}, leef: {{}}}}" for n in range(10_000))
    assert len(problems(text)) == 10_000


KEYS = st.sampled_from(["name", "leaf", "leaves", "share", "rates", "guess", "low", "x"])
ATOMS = st.none() | st.booleans() | st.floats() | st.text(max_size=5) | st.integers()
CONTENT = st.recursive(ATOMS, lambda v: st.lists(v, max_size=3) | st.dictionaries(KEYS, v, max_size=4), max_leaves=20)


@given(CONTENT)
def test_any_content_is_accepted_or_explained(value):
    for model in (list[Item], Item):
        found = explained(to_yaml(value), model)
        assert all(problem.where.startswith("f.yaml:") for problem in found)


def explained(text, model):
    try:
        check_document(text, model=model, where="f.yaml")
    except InputError as error:
        return error.problems or (None,)
    return ()


class Window(Contract):
    at: Moment


@pytest.mark.parametrize(
    ("zone", "text", "result"),
    [
        ("Asia/Shanghai", "2026-11-10T20:00", "2026-11-10T20:00:00+08:00"),
        ("Asia/Shanghai", "2026-11-10 20:00:07.5", "2026-11-10T20:00:07.500000+08:00"),
        ("Asia/Shanghai", "2026-11-10T12:00Z", "2026-11-10T20:00:00+08:00"),
        ("Europe/Berlin", "2026-10-25T02:30+01:00", "2026-10-25T02:30:00+01:00"),
        ("Europe/Berlin", "2026-10-25T02:30+02:00", "2026-10-25T02:30:00+02:00"),
    ],
)
def test_times_come_back_in_the_zone(zone, text, result):
    window = check_document(f"at: {text}", model=Window, where="f", context={"zone": require_zone(zone, where="f")})
    assert window.at.isoformat() == result


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("2026-03-29T02:30", "a time that exists in Europe/Berlin"),
        ("2026-10-25T02:30", "a time that occurs once in Europe/Berlin"),
        ("2026-11-10", "a day alone is not a time"),
        ("20:00", "a time such as"),
        ("2026-13-10T20:00", "a time such as"),
        ("0001-01-01T00:00+14:00", "years 1 and 9999"),
        ("1762776000", "a time such as"),
    ],
)
def test_times_that_do_not_exist_or_are_ambiguous_are_problems(text, says):
    context = {"zone": require_zone("Europe/Berlin", where="f")}
    assert says in problems(f"at: {text}", model=Window, context=context)[0]
