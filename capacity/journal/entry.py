"""One entry of a journal: what it holds, how it is made, checked and written."""

import hashlib
import json
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from capacity.errors import InputError, Problem, did_you_mean

KINDS = (
    *("note", "alert", "incident_start", "detected", "acknowledged", "mitigated", "resolved"),
    *("degrade_on", "degrade_off", "limit_change", "scale", "change", "exception", "drill", "action"),
)
_MOMENT = "an ISO 8601 time such as 2026-11-10T20:04:00+08:00"
_LONGEST = {"id": 100, "kind": 100, "service": 300, "who": 300, "ref": 2000, "corrects": 100, "text": 20_000}


@dataclass(frozen=True)
class Entry:
    """One line of a journal.

    Attributes
    ----------
    id
        Names the entry in its journal.
    at
        When it happened; aware.
    recorded_at
        When it was written down; aware.
    kind
        One of ``KINDS``.
    service
        Which service it is about, if one.
    who
        Who did or saw it; of an ``action``, who owns it.
    text
        What there is to say, untrusted: escape it where it is shown.
    ref
        What it belongs to: the id of an ``incident_start``, ``change`` or ``degrade_on``, an alert's runbook, a ticket.
    corrects
        The id of the entry that this one replaces.

    Examples
    --------
    >>> entry = new_entry("note", "doors open", at="2026-11-10T20:00+08:00", timezone="Asia/Shanghai")
    >>> entry.at.isoformat(), entry.kind
    ('2026-11-10T20:00:00+08:00', 'note')
    """

    id: str
    at: datetime
    recorded_at: datetime
    kind: str
    service: str | None = None
    who: str | None = None
    text: str = ""
    ref: str | None = None
    corrects: str | None = None

    def to_document(self) -> dict[str, str | None]:
        """Return the entry as its JSON object, keys in the contract's order."""
        document = {field.name: getattr(self, field.name) for field in fields(self)}
        return document | {"at": self.at.isoformat(), "recorded_at": self.recorded_at.isoformat()}


_KEYS = tuple(field.name for field in fields(Entry))
_REQUIRED = ("id", "at", "recorded_at", "kind")


def new_entry(
    kind: str,
    text: str = "",
    *,
    timezone: str,
    at: str | datetime | None = None,
    recorded_at: datetime | None = None,
    service: str | None = None,
    who: str | None = None,
    ref: str | None = None,
    corrects: str | None = None,
) -> Entry:
    """Make an entry; its id follows from what it says, so that the same thing said twice is one entry.

    Parameters
    ----------
    kind, text, service, who, ref, corrects
        See :class:`Entry`.
    timezone
        The workspace's zone, for an ``at`` without an offset.
    at
        When it happened; now when left out.
    recorded_at
        When it is written down; now when left out.

    Raises
    ------
    InputError
        If anything breaks the contract; every problem is named.
    """
    now = datetime.now(UTC).astimezone(ZoneInfo(timezone)) if at is None or recorded_at is None else None
    moment = at.isoformat() if isinstance(at, datetime) else at
    said: dict[str, object] = {
        "at": moment or str(now and now.isoformat()),
        "kind": kind,
        "service": service or None,
        "who": who or None,
        "text": text,
        "ref": ref or None,
        "corrects": corrects or None,
    }
    digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]
    written = recorded_at or now
    return check_entry({"id": digest, "recorded_at": str(written and written.isoformat()), **said}, "entry", timezone)


def format_entry(entry: Entry) -> str:
    """Return the entry's line of the file, without the line's end.

    Examples
    --------
    >>> entry = new_entry("note", "门开了", at="2026-11-10T20:00+08:00", timezone="Asia/Shanghai")
    >>> json.loads(format_entry(entry))["text"]
    '门开了'
    """
    return json.dumps(entry.to_document(), ensure_ascii=False, allow_nan=False)


def check_entry(value: Mapping[str, object], place: str, timezone: str) -> Entry:
    """Return the entry that a line or a caller says, or refuse it with every problem it has."""
    problems = [
        Problem(f"{place} {short(key)}", "an unknown key", f"one of {', '.join(_KEYS)}", did_you_mean(key, _KEYS))
        for key in value
        if key not in _KEYS
    ]
    problems += [Problem(f"{place} {key}", "nothing", "a value") for key in _REQUIRED if value.get(key) in (None, "")]
    checked: dict[str, Any] = {}
    for key in _KEYS:
        if value.get(key) is None:
            continue
        check: Callable[[str, object, str], object] = _check_moment if key in ("at", "recorded_at") else _check_text
        try:
            checked[key] = check(key, value[key], timezone)
        except ValueError as error:
            problems.append(Problem(f"{place} {key}", short(value[key]), str(error)))
    kind = checked.get("kind")
    if kind and kind not in KINDS:
        problems.append(Problem(f"{place} kind", short(kind), f"one of {', '.join(KINDS)}", did_you_mean(kind, KINDS)))
    if problems:
        raise InputError(f"{place} is no journal entry", problems=problems)
    return Entry(**checked)


def _check_text(key: str, value: object, _: str) -> str:
    if not isinstance(value, str):
        raise ValueError("a string")  # noqa: TRY004 - a wrong value of a file, not of the program
    if len(value) > _LONGEST[key]:
        raise ValueError(f"at most {_LONGEST[key]} characters")
    if any("\ud800" <= letter <= "\udfff" for letter in value):
        raise ValueError("text without lone surrogates")
    if key != "text" and any(unicodedata.category(letter) == "Cc" for letter in value):
        raise ValueError("text without control characters")
    return value


def _check_moment(_: str, value: object, timezone: str) -> datetime:
    zone = ZoneInfo(timezone)
    if not isinstance(value, str) or len(value) < len("2026-11-10T20"):
        raise ValueError(_MOMENT)
    try:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is not None:
            return moment.astimezone(zone)
        first, second = (moment.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    except (ValueError, OverflowError):
        raise ValueError(_MOMENT) from None
    if first.utcoffset() != second.utcoffset():
        raise ValueError(f"an offset: the clocks of {timezone} change at that time")
    return first


def refusal(place: str, got: str, expected: str, remedy: str = "") -> InputError:
    """Make the error of an entry with one problem."""
    return InputError(f"{place} is no journal entry", problems=[Problem(place, got, expected, remedy)])


def short(value: object) -> str:
    """Quote what stands there, shortened."""
    return repr(value) if len(repr(value)) <= 80 else f"{repr(value)[:77]}…"
