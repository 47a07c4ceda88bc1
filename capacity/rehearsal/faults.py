"""Faults that a rehearsal can play, and how they are written: ``NAME[=SERVICE][:FACTOR][@WHEN][/SECONDS]``."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from capacity.errors import Problem, UsageError, did_you_mean

_WHEN = re.compile(r"(?P<anchor>peak|start)?(?P<offset>[+-]?\d{1,7})?")


@dataclass(frozen=True)
class Moment:
    """A moment of the promotion.

    Attributes
    ----------
    anchor : {"peak", "start"}
        The worst second, or the promotion's start.
    offset_s : int
    """

    anchor: Literal["peak", "start"]
    offset_s: int = 0

    def second(self, worst_s: int) -> int:
        """Seconds after the promotion's start."""
        return self.offset_s + (worst_s if self.anchor == "peak" else 0)


@dataclass(frozen=True)
class Kind:
    """What can be said of one fault.

    Attributes
    ----------
    service : {"no", "may", "must"}
        Whether it is of one service; without a name it is of all that it can be of.
    factor : tuple of float or None
        Default, least and most; None where there is no such number.
    at : Moment or None
        When it begins unless said otherwise; None: from the beginning.
    for_s : int or None
        How long it lasts unless said otherwise; None: to the end.
    means : str
        What happens, for a help text.
    """

    service: Literal["no", "may", "must"]
    factor: tuple[float, float, float] | None
    at: Moment | None
    for_s: int | None
    means: str


_STRIKE = Moment("peak", -60)
KINDS: dict[str, Kind] = {
    "zone-loss": Kind("no", (0.0, 1.0, 100.0), None, None, "the fullest zones are gone, as many as the risk says"),
    "slow-downstream": Kind("must", (0.3, 0.0, 1.0), _STRIKE, 360, "SERVICE takes FACTOR (0.3) of its capacity"),
    "third-party-down": Kind("must", None, _STRIKE, 360, "SERVICE answers nothing"),
    "cold-cache": Kind("may", None, _STRIKE, None, "caches (in front of SERVICE) are empty and fill within minutes"),
    "retry-storm": Kind(
        "may", (0.33, 0.0, 1.0), Moment("peak"), 30,
        "nobody keeps to a retry budget, calls are tried four times, users three times; set off at SERVICE (the "
        "tightest core service), which takes FACTOR (0.33) of its capacity",
    ),
    "limiter-loss": Kind("may", None, None, None, "no limit (of SERVICE) is enforced"),
    "demand": Kind("no", (1.0, 0.0, 1000.0), None, None, "FACTOR times the arrivals"),
    "late-scale-up": Kind("may", None, None, None, "instances (of SERVICE) are asked for at the start only"),
    "hot-key": Kind("may", (3.0, 1.0, 1000.0), None, None, "the hottest item gets FACTOR (3) times its share"),
}  # fmt: skip
NAMES = tuple(KINDS)
_COUNTED = ("demand", "zone-loss")  # the value after = is their factor


def describe_faults() -> str:
    """Say every fault and how it is written, one a line."""
    return "\n".join(f"{_written(name, kind)}: {kind.means}" for name, kind in KINDS.items())


def _written(name: str, kind: Kind) -> str:
    if name == "demand":
        return "demand=FACTOR"
    if name == "zone-loss":
        return "zone-loss[=ZONES]"
    service = {"no": "", "may": "[=SERVICE]", "must": "=SERVICE"}[kind.service]
    return f"{name}{service}{'[:FACTOR]' if kind.factor else ''}"


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong.

    Attributes
    ----------
    name : str
    service : str or None
    factor : float
        1 where there is none.
    at : Moment or None
        None: from the beginning.
    for_s : int or None
        None: to the end.
    """

    name: str
    service: str | None = None
    factor: float = 1.0
    at: Moment | None = None
    for_s: int | None = None


@dataclass(frozen=True)
class Faults:
    """What goes wrong, all of it.

    Attributes
    ----------
    found : tuple of Fault
        As they were written.
    """

    found: tuple[Fault, ...] = ()

    def of(self, name: str) -> tuple[Fault, ...]:
        """All faults of a name."""
        return tuple(fault for fault in self.found if fault.name == name)

    def has(self, name: str) -> bool:
        """Whether there is one."""
        return any(fault.name == name for fault in self.found)


def parse_faults(faults: Sequence[str], *, services: Collection[str]) -> Faults:
    """Read faults as written on the command line.

    ``@WHEN`` is ``peak``, ``start``, one of them with an offset in seconds (``peak-60``), or seconds after the start;
    ``/SECONDS`` after it says for how long.

    Raises
    ------
    UsageError
        With every fault that cannot be read.

    Examples
    --------
    >>> parse_faults(["slow-downstream=payment:0.5@peak-30/120"], services=["payment"]).found[0]
    Fault(name='slow-downstream', service='payment', factor=0.5, at=Moment(anchor='peak', offset_s=-30), for_s=120)
    """
    found: list[Fault] = []
    problems: list[Problem] = []
    for text in faults:
        read = _read(text, services)
        if isinstance(read, Problem):
            problems.append(read)
        else:
            found.append(read)
    if problems:
        raise UsageError("faults that cannot be played", problems=problems)
    return Faults(tuple(found))


def _read(text: str, services: Collection[str]) -> Fault | Problem:
    name, equals, value = text.partition("=")
    where, tail = f"fault {text!r}", None
    if value not in services:
        head, mark, after = (value if equals else name).rpartition("@")
        if mark:
            name, value, tail = (name, head, after) if equals else (head, value, after)
    if name not in KINDS:
        return Problem(where, repr(name), f"one of {', '.join(NAMES)}", did_you_mean(name, NAMES))
    kind = KINDS[name]
    when = (kind.at, None) if tail is None else _moment(tail)
    if when is None:
        return Problem(where, repr(tail), "after @: peak, start, peak-60 or seconds after the start, then /SECONDS")
    said = _value(where, name, kind, value if equals else "", services)
    if isinstance(said, Problem):
        return said
    service, factor = said
    return Fault(name, service, factor, when[0], when[1] if when[1] is not None else kind.for_s)


def _moment(tail: str) -> tuple[Moment | None, int | None] | None:
    at, slash, lasts = tail.partition("/")
    match = _WHEN.fullmatch(at)
    if match is None or not at or (slash and not lasts.isdecimal()):
        return None
    anchor: Literal["peak", "start"] = "peak" if match["anchor"] == "peak" else "start"
    return Moment(anchor, int(match["offset"] or 0)), int(lasts) if slash else None


def _value(
    where: str, name: str, kind: Kind, value: str, services: Collection[str]
) -> tuple[str | None, float] | Problem:
    default, low, high = kind.factor or (1.0, 1.0, 1.0)
    if name in _COUNTED:
        if not value and name != "demand":
            return None, default
        number = _number(value, low, high)
        return (None, number) if number is not None else Problem(where, repr(value), _expected(name, kind))
    service, factor = value, default
    if value not in services and kind.factor is not None and ":" in value:
        service, _, said = value.rpartition(":")
        number = _number(said, low, high)
        if number is None:
            return Problem(where, repr(said), f"after the colon a number from {low:g} to {high:g}")
        factor = number
    if not service and kind.service != "must":
        return None, factor
    if kind.service == "no" or service not in services:
        return Problem(where, repr(value), _expected(name, kind), did_you_mean(service, services))
    return service, factor


def _expected(name: str, kind: Kind) -> str:
    if name == "demand":
        return "demand=FACTOR, a number above 0 and up to 1000"
    if name == "zone-loss":
        return "zone-loss, or zone-loss=ZONES"
    return f"{_written(name, kind)} with a service of the plan"


def _number(text: str, low: float, high: float) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if low <= number <= high and (number > 0 or low == 0.0 < high <= 1.0) else None
