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
from capacity.promotion import Promotion, Promotions, parse_promotions

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
        st.tuples(
            st.sampled_from([None, "s", "t"]),
            st.integers(-50, 200),
            st.integers(1, 60),
            st.sampled_from(["release", "data_migration", "hot_fix", ""]),
            st.sampled_from(["ann", "bob", "eve", "nobody", ""]),
        ),
        max_size=3,
    ),
)
def test_answers_are_those_of_an_enumeration(
    promotions: Promotions,
    rules: Operations,
    hours: int,
    kind: str,
    service: str | None,
    signed: list[tuple[str | None, int, int, str, str]],
) -> None:
    at = START + timedelta(hours=hours)
    exemptions = [
        Exemption(
            str(i), "a", of, who, START + timedelta(hours=first), START + timedelta(hours=first + n), "r", of_kind
        )
        for i, (of, first, n, of_kind, who) in enumerate(signed)
    ]
    answer = check_freeze(promotions, rules, exemptions, at=at, service=service, kind=kind)  # type: ignore[arg-type]
    frozen = 0 <= hours < 120
    covered = any(
        (of is None or of == service) and first <= hours < first + n and of_kind == kind and who in ("ann", "bob")
        for of, first, n, of_kind, who in signed
    )
    excused = kind == "emergency_scaling" or (kind == "release" and covered)  # nobody has a rule for a hot fix
    assert answer.allowed == (not frozen or excused)
    if not answer.allowed and kind == "release":
        assert answer.may_grant == ("ann", "bob")


def test_only_who_may_signs_and_only_inside(promotions: Promotions, rules: Operations) -> None:
    good = {"who": "bob", "at": START, "until": START + timedelta(hours=2), "reason": "r", "kind": "release"}
    check_exception(rules, promotions["a"], **good)  # type: ignore[arg-type]
    wrong = [
        ({"who": "eve"}, InputError, "eve may not"),
        ({"kind": "data_migration"}, InputError, "never allowed"),
        ({"kind": "hot_fix"}, InputError, "nobody may grant"),
        ({"kind": "hot_fix", "who": "nobody"}, InputError, "nobody may grant"),
        ({"kind": "emergency_scaling"}, UsageError, "no exception is needed"),
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
    audit = audit_freezes(promotions, strict, core=("cart", "checkout"))
    assert "2 promotions: 4 findings" in repr(audit)
    assert list(audit.to_frame()["kind"]) == ["starts_late", "ends_early", "no_freeze", "core_left_out"]
    found = " | ".join(one.says for one in audit.findings)
    for says in ("a: the freeze begins", "a: the freeze ends", "b has no freeze", "leaves out core services: checkout"):
        assert says in found
    loose = parse_operations("freeze: {hours_before: 1}", timezone="UTC")
    assert audit_freezes({"a": promotions["a"]}, loose, core=("cart",)).findings == ()


def test_overlaps_and_leap_days_are_said() -> None:
    text = """
- {id: a, kind: x, starts_at: 2028-02-27T20:00, ends_at: 2028-02-28T00:00,
   freeze: {starts_at: 2028-02-26T00:00, ends_at: 2028-02-29T00:00}}
- {id: b, kind: x, starts_at: 2028-02-28T20:00, ends_at: 2028-03-02T00:00,
   freeze: {starts_at: 2028-02-28T12:00, ends_at: 2028-03-04T00:00}}
"""
    audit = audit_freezes(parse_promotions(text, timezone="UTC"), Operations(), core=())
    found = " | ".join(one.says for one in audit.findings)
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


BERLIN = ZoneInfo("Europe/Berlin")
NIGHT = datetime(2026, 10, 24, 22, tzinfo=UTC)  # clocks are put back at 01:00 UTC


@given(begin=st.integers(0, 20), length=st.integers(1, 12), ask=st.integers(0, 40))
def test_a_clock_set_back_neither_opens_nor_shuts_a_freeze(begin: int, length: int, ask: int) -> None:
    def at(quarter: int) -> datetime:
        return (NIGHT + timedelta(minutes=15 * quarter)).astimezone(BERLIN)

    window = {"starts_at": at(begin), "ends_at": at(begin + length)}
    one = Promotion.model_validate({"id": "a", "kind": "x", **window, "freeze": window})
    answer = check_freeze({"a": one}, Operations(), at=at(ask))
    assert answer.allowed == (not begin <= ask < begin + length)


@given(
    minute=st.integers(0, 5 * 365 * 24 * 60),
    hours=st.integers(1, 700),
    zone=st.sampled_from(["Asia/Shanghai", "Europe/Berlin", "America/Sao_Paulo"]),
)
def test_a_window_that_passes_is_one_window_of_every_year(minute: int, hours: int, zone: str) -> None:
    begin = (datetime(2024, 1, 1, tzinfo=UTC) + timedelta(minutes=minute)).astimezone(ZoneInfo(zone))
    window = {
        "starts_at": begin,
        "ends_at": (begin.astimezone(UTC) + timedelta(hours=hours)).astimezone(ZoneInfo(zone)),
    }
    one = Promotion.model_validate({"id": "a", "kind": "x", **window, "freeze": window})
    told = {f.kind for f in audit_freezes({"a": one}, Operations(), core=()).findings}
    first, last = (moment.strftime("%m-%d %H:%M") for moment in window.values())
    hits = [
        sum(
            (edge.astimezone(UTC) + timedelta(minutes=15 * n)).astimezone(ZoneInfo(zone)).strftime("%m-%d %H:%M")
            == pattern
            for n in range(-12, 13)
        )
        for edge, pattern in zip(window.values(), (first, last), strict=True)
    ]
    single = hits == [1, 1] and first < last and "02-29" not in (first[:5], last[:5])
    assert ("not_one_window" in told) == (not single)


def test_overlaps_of_more_than_neighbours_are_found() -> None:
    def one(name: str, first: int, last: int) -> str:
        span = f"starts_at: 2026-11-{first:02d}T00:00, ends_at: 2026-11-{last:02d}T00:00"
        return f"- {{id: {name}, kind: x, {span}, freeze: {{{span}}}}}"

    text = "\n".join([one("a", 1, 20), one("b", 2, 3), one("c", 5, 6)])
    found = audit_freezes(parse_promotions(text, timezone="UTC"), Operations(), core=()).findings
    assert [f.promotion for f in found if f.kind == "overlap"] == ["b", "c"]


@pytest.mark.parametrize("at", ["2026-11-10", "0001-01-01T00:00+14:00", "soon", "9999-12-31T23:59-12:00"])
def test_a_deploy_job_with_a_wrong_time_is_told_so(sample_dir: Path, at: str) -> None:
    assert run(["-w", str(sample_dir), "freeze", "check", "--at", at]) == 2


@pytest.mark.parametrize(
    ("who", "of_kind", "says"),
    [("bob", "release", ""), ("bob", "hot_fix", "ask ann"), ("bob", "", "ask ann"), ("eve", "release", "eve may not")],
)
def test_an_exception_is_for_its_kind_and_of_who_may(
    promotions: Promotions, rules: Operations, who: str, of_kind: str, says: str
) -> None:
    signed = [Exemption("x", "a", None, who, START, START + timedelta(hours=2), "r", of_kind)]
    answer = check_freeze(promotions, rules, signed, at=START + timedelta(hours=1), service="s")
    assert answer.allowed == (says == "")
    assert says in answer.reason


@pytest.mark.parametrize(
    ("start", "end", "wrong"),
    [
        ("2026-10-25T02:30+02:00", "2026-10-27T00:00+01:00", "clock change repeats"),
        ("2026-10-20T00:00+02:00", "2026-10-25T02:30+01:00", "clock change repeats"),
        ("2026-10-20T00:00+02:00", "2026-10-25T03:30+01:00", ""),
        ("2026-03-20T00:00+01:00", "2026-03-29T03:30+02:00", ""),
        ("2026-12-30T00:00+01:00", "2027-01-02T00:00+01:00", "crosses New Year"),
    ],
)
def test_patterns_without_a_year_that_are_not_one_window(start: str, end: str, wrong: str) -> None:
    window = {"starts_at": start, "ends_at": end}
    text = f"- {{id: a, kind: x, starts_at: {start}, ends_at: {end}, freeze: {json.dumps(window)}}}"
    found = audit_freezes(parse_promotions(text, timezone="Europe/Berlin"), Operations(), core=()).findings
    told = [one.says for one in found if one.kind == "not_one_window"]
    assert bool(told) == bool(wrong)
    assert all(wrong in one for one in told)
