"""The order of tests: what is called before what calls it."""

from hypothesis import given
from hypothesis import strategies as st

from capacity.catalog import parse_services
from capacity.staircase.order import callees_first, dependency_levels

NAMES = "abcdefgh"
GRAPHS = st.dictionaries(st.sampled_from(NAMES), st.lists(st.sampled_from(NAMES), max_size=4), min_size=1)


def reaches(calls: dict[str, list[str]], start: str) -> set[str]:
    waiting, found = [start], set()
    while waiting:
        for callee in calls.get(waiting.pop(), ()):
            if callee in calls and callee not in found:
                found.add(callee)
                waiting.append(callee)
    return found


@given(GRAPHS)
def test_every_service_stands_above_what_it_calls_unless_they_call_each_other(calls: dict[str, list[str]]) -> None:
    level = dependency_levels(calls)
    assert set(level) == set(calls)
    for name in calls:
        for callee in reaches(calls, name):
            if name in reaches(calls, callee):
                assert level[name] == level[callee]
            else:
                assert level[name] > level[callee]


def test_levels_are_as_low_as_they_can_be() -> None:
    assert dependency_levels({"a": ["b", "c"], "b": ["c"], "c": [], "lone": [], "self": ["self"]}) == {
        "a": 2, "b": 1, "c": 0, "lone": 0, "self": 0,
    }  # fmt: skip


def test_core_comes_first_within_a_level_and_what_is_not_asked_for_still_counts() -> None:
    services = parse_services(
        """[{name: shop, tier: core, calls: [{to: nice}, {to: db}]}, {name: nice, tier: degradable},
            {name: side, tier: non_core}, {name: db, tier: core}]"""
    )
    assert [name for name, _ in callees_first(services, services.names)] == ["db", "side", "nice", "shop"]
    assert callees_first(services, ["shop", "side"]) == [("side", 0), ("shop", 1)]
