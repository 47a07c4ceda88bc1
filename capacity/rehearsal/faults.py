"""Faults that a rehearsal can play, and how they are written."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from capacity.errors import Problem, UsageError, did_you_mean

NAMES = (
    "zone-loss", "slow-downstream", "cold-cache", "retry-storm", "limiter-loss", "third-party-down", "demand",
    "late-scale-up", "hot-key",
)  # fmt: skip
_OF_A_SERVICE = ("slow-downstream", "third-party-down")


@dataclass(frozen=True)
class Faults:
    """What goes wrong.

    Attributes
    ----------
    zone_loss : bool
        The fullest zones are gone from the beginning, as many as the plan's risk says.
    slow, down : tuple of str
        Services at 30 % of their capacity, or gone, from a minute before the worst second for six minutes.
    cold_cache : bool
        Caches are empty a minute before the worst second and fill with a time constant of five minutes.
    retry_storm : bool
        No retry budget, three retries everywhere, two by users; set off by 30 s at a third of the tightest
        core service's capacity.
    limiter_loss : bool
        No limit is enforced.
    demand : float
        Factor on all arrivals.
    late_scale_up : bool
        Instances are asked for at the start of the promotion only.
    hot_key : bool
        The hottest item gets three times its share.
    """

    zone_loss: bool = False
    slow: tuple[str, ...] = ()
    down: tuple[str, ...] = ()
    cold_cache: bool = False
    retry_storm: bool = False
    limiter_loss: bool = False
    demand: float = 1.0
    late_scale_up: bool = False
    hot_key: bool = False


def parse_faults(faults: Sequence[str], *, services: Sequence[str]) -> Faults:
    """Read faults as written on the command line.

    Raises
    ------
    UsageError
        With every fault that cannot be read.

    Examples
    --------
    >>> parse_faults(["zone-loss", "demand=1.5"], services=[]).demand
    1.5
    """
    found = Faults()
    problems = []
    for text in faults:
        name, _, value = text.partition("=")
        problem = _problem(text, name, value, services)
        if problem is not None:
            problems.append(problem)
            continue
        found = _with(found, name, value)
    if problems:
        raise UsageError("faults that cannot be played", problems=problems)
    return found


def _with(found: Faults, name: str, value: str) -> Faults:
    if name == "slow-downstream":
        return replace(found, slow=(*found.slow, value))
    if name == "third-party-down":
        return replace(found, down=(*found.down, value))
    if name == "demand":
        return replace(found, demand=found.demand * float(value))
    flags: dict[str, Any] = {name.replace("-", "_"): True}
    return replace(found, **flags)


def _problem(text: str, name: str, value: str, services: Sequence[str]) -> Problem | None:
    where = f"fault {text!r}"
    if name not in NAMES:
        return Problem(where, repr(name), f"one of {', '.join(NAMES)}", did_you_mean(name, NAMES))
    if name in _OF_A_SERVICE:
        if value not in services:
            return Problem(
                where, repr(value), f"{name}=SERVICE with a service of the plan", did_you_mean(value, services)
            )
        return None
    if name == "demand":
        return None if _is_factor(value) else Problem(where, repr(value), "demand=FACTOR, a number between 0 and 1000")
    return Problem(where, repr(value), f"{name} without a value") if value else None


def _is_factor(value: str) -> bool:
    try:
        return 0.0 < float(value) <= 1000.0
    except ValueError:
        return False
