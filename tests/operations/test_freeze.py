"""May this change go out: by windows, rules and signed exceptions, against an enumeration of its own."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capacity.cli.main import run
from capacity.errors import InputError, UsageError
from capacity.operations import Exemption, Operations, audit_freezes, check_exception, check_freeze, parse_operations
from capacity.promotion import Promotions, parse_promotions

RULES = """
changes:
  release: {in_freeze: by_exception, approver: ann, escalation: [bob], accountable: team}
  data_migration: {in_freeze: never, approver: ann, accountable: team}
  emergency_scaling: {in_freeze: allowed, approver: ann, accountable: team}
"""
START = datetime(2026, 11, 8, tzinfo=ZoneInfo("Asia/Shanghai"))


@pytest.fixture(scope="module")
def promotions() -> Promotions:
    text = """
- {id: a, kind: x, starts_at: 2026-11-10T20:00, ends_at: 2026-11-12T00:00,
   freeze: {starts_at: 2026-11-08T00:00, ends_at: 2026-11-13T00:00}}
- {id: b, kind: x, starts_at: 2026-12-11T20:00, ends_at: 2026-12-13T00:00}
"""
    return parse_promotions(text, timezone="Asia/Shanghai")


@pytest.fixture(scope="module")
def rules() -> Operations:
    return parse_operations(RULES, timezone="Asia/Shanghai")


@given(
    hours=st.integers(-100, 300),
    kind=st.sampled_from(["release", "data_migration", "emergency_scaling", "hot_fix"]),
    service=st.sampled_from([None, "s", "t"]),
    signed=st.lists(
        st.tuples(st.sampled_from([None, "s", "t"]), st.integers(-50, 200), st.integers(1, 60)), max_size=3
    ),
)
def test_answers_are_those_of_an_enumeration(
    promotions: Promotions,
    rules: Operations,
    hours: int,
    kind: str,
    service: str | None,
    signed: list[tuple[str | None, int, int]],
) -> None:
    at = START + timedelta(hours=hours)
    exemptions = [
        Exemption(str(i), "a", of, "ann", START + timedelta(hours=begin), START + timedelta(hours=begin + length), "r")
        for i, (of, begin, length) in enumerate(signed)
    ]
    answer = check_freeze(promotions, rules, exemptions, at=at, service=service, kind=kind)  # type: ignore[arg-type]
    frozen = 0 <= hours < 120
    covered = any((of is None or of == service) and begin <= hours < begin + length for of, begin, length in signed)
    excused = kind == "emergency_scaling" or (kind in ("release", "hot_fix") and covered)
    assert answer.allowed == (not frozen or excused)
    if not answer.allowed and kind == "release":
        assert answer.may_grant == ("ann", "bob")


def test_only_who_may_signs_and_only_inside(promotions: Promotions, rules: Operations) -> None:
    good = {"who": "bob", "at": START, "until": START + timedelta(hours=2), "reason": "r", "kind": "release"}
    check_exception(rules, promotions["a"], **good)  # type: ignore[arg-type]
    wrong = [
        ({"who": "eve"}, InputError, "eve may not"),
        ({"kind": "data_migration"}, InputError, "never allowed"),
        ({"kind": "hot_fix"}, InputError, "may not grant"),
        ({"reason": " "}, UsageError, "needs its reason"),
        ({"until": START}, UsageError, "--until"),
        ({"until": START + timedelta(days=9)}, UsageError, "--until"),
        ({"at": START - timedelta(hours=1)}, UsageError, "no freeze"),
    ]
    for change, error, says in wrong:
        with pytest.raises(error, match=says):
            check_exception(rules, promotions["a"], **(good | change))  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="no freeze"):
        check_exception(rules, promotions["b"], **good)  # type: ignore[arg-type]


def test_an_audit_finds_every_hole(promotions: Promotions) -> None:
    strict = parse_operations("freeze: {hours_before: 48, hours_after: 2, services: [cart]}", timezone="UTC")
    found = " | ".join(audit_freezes(promotions, strict, core=("cart", "checkout")))
    for says in ("a: the freeze begins", "a: the freeze ends", "b has no freeze", "leaves out core services: checkout"):
        assert says in found
    loose = parse_operations("freeze: {hours_before: 1}", timezone="UTC")
    assert audit_freezes({"a": promotions["a"]}, loose, core=("cart",)) == ()


def test_overlaps_and_leap_days_are_said() -> None:
    text = """
- {id: a, kind: x, starts_at: 2028-02-27T20:00, ends_at: 2028-02-28T00:00,
   freeze: {starts_at: 2028-02-26T00:00, ends_at: 2028-02-29T00:00}}
- {id: b, kind: x, starts_at: 2028-02-28T20:00, ends_at: 2028-03-02T00:00,
   freeze: {starts_at: 2028-02-28T12:00, ends_at: 2028-03-04T00:00}}
"""
    found = " | ".join(audit_freezes(parse_promotions(text, timezone="UTC"), Operations(), core=()))
    assert "the freezes of a and b overlap" in found
    assert "a: the freeze ends on 29 February" in found


def test_a_deploy_job_gets_its_exit_code(sample_copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    at = ["--at", "2026-11-10T21:00"]
    ask = ["-w", str(sample_copy), "freeze", "check", "--service", "checkout", *at, "--json"]
    with pytest.raises(SystemExit) as stopped:
        run(ask)
    assert stopped.value.code == 6
    answer = json.loads(capsys.readouterr().out)
    assert (answer["allowed"], answer["may_grant"]) == (False, ["zhao.lei", "chen.min"])
    sign = [
        "-w",
        str(sample_copy),
        "freeze",
        "except",
        "2026-double11",
        "price",
        "--who",
        "chen.min",
        "--at",
        "2026-11-10T20:30",
    ]
    assert run([*sign, "--until", "2026-11-10T22:00", "--service", "checkout"]) == 0
    capsys.readouterr()
    assert run(ask) == 0
    assert json.loads(capsys.readouterr().out)["exception"]
    assert run(["-w", str(sample_copy), "freeze", "check", "--at", "2026-08-01T12:00"]) == 0
    assert run(["-w", str(sample_copy), "freeze", "check", "--service", "chekout", *at]) == 2


def test_a_clock_change_moves_no_edge() -> None:
    text = """
- {id: a, kind: x, starts_at: 2026-10-24T20:00, ends_at: 2026-10-25T12:00,
   freeze: {starts_at: 2026-10-24T12:00, ends_at: 2026-10-25T04:00}}
"""
    promotions = parse_promotions(text, timezone="Europe/Berlin")
    end = datetime(2026, 10, 25, 3, tzinfo=UTC)
    for seconds, allowed in ((-1, False), (0, True)):
        answer = check_freeze(promotions, Operations(), at=end + timedelta(seconds=seconds))
        assert answer.allowed == allowed
