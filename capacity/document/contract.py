"""The base of every model in a file, and the kinds of values its keys take.

A number must be written as a number and text as text: nothing is guessed from quotes. Unknown is an
absent key or an empty one.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, tzinfo
from typing import Annotated, Any, NamedTuple, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, Strict, ValidationInfo, model_validator
from pydantic_core import PydanticCustomError

from capacity.document.notation import Path


class Fault(NamedTuple):
    """One thing wrong inside a value that is well-formed: its key path, what it is, what it should be."""

    path: Path
    got: str
    expected: str
    remedy: str = ""


class Contract(BaseModel):
    """Base of the models of the files: frozen, no unknown keys, an empty key means unknown.

    Examples
    --------
    >>> class Door(Contract):
    ...     width_m: float = 0.9
    >>> Door(width_m=None).assumed("width_m")
    True
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=False)

    @model_validator(mode="before")
    @classmethod
    def _drop_empty(cls, data: Any) -> Any:
        if isinstance(data, dict) and None in data.values():
            # An unknown key stays, so that its typing error is told even when it has no value.
            return {k: v for k, v in data.items() if v is not None or k not in cls.model_fields}
        return data

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        faults = tuple(self.faults())
        if faults:
            raise fault_error(faults)
        return self

    def faults(self) -> Iterator[Fault]:
        """Yield what is wrong between keys that are each well-formed."""
        yield from ()

    def assumed(self, key: str) -> bool:
        """Tell whether a key's value is a default rather than given."""
        return key not in self.model_fields_set


def fault_error(faults: tuple[Fault, ...]) -> PydanticCustomError:
    """Pack faults into one pydantic error; `capacity.document` unpacks them."""
    text = "; ".join(f"{'.'.join(map(str, f.path))}: got {f.got}, expected {f.expected}" for f in faults)
    return PydanticCustomError("faults", "{text}", {"text": text, "faults": faults})


def _error(expected: str, remedy: str = "") -> PydanticCustomError:
    return PydanticCustomError("expected", "expected {expected}", {"expected": expected, "remedy": remedy})


def _whole(value: Any) -> Any:
    # 1.2e6 is a natural way to write a count.
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def parse_day(value: Any) -> Any:
    """Read a local day written ``2026-11-11``."""
    if isinstance(value, datetime):
        raise _error("a day such as 2026-11-11, without a time")
    if isinstance(value, date):
        return value
    if isinstance(value, str):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    raise _error("a day such as 2026-11-11")


def parse_moment(value: Any, info: ValidationInfo) -> datetime:
    """Read an ISO 8601 time; without an offset it is in the workspace's zone (the context's ``zone``)."""
    zone = (info.context or {}).get("zone")
    if isinstance(value, datetime):
        moment = value
        if hasattr(moment, "to_pydatetime"):
            moment = moment.to_pydatetime()
    elif isinstance(value, str) and len(value) > 10:  # more than a date
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            raise _error("a time such as 2026-11-10T20:00+08:00") from None
    else:
        raise _error("a time such as 2026-11-10T20:00+08:00", "a day alone is not a time")
    if moment.tzinfo is None:
        return _in_zone(moment, zone)
    try:
        return moment.astimezone(zone) if zone is not None else moment
    except OverflowError:
        raise _error("a time between the years 1 and 9999") from None


def _in_zone(moment: datetime, zone: tzinfo | None) -> datetime:
    if zone is None:
        raise _error("a time with its offset, as no zone is known here", "add the offset, such as +08:00")
    early, late = (moment.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    if early.utcoffset() == late.utcoffset():
        return early
    round_trip = early.astimezone(UTC).astimezone(zone)
    if round_trip.replace(tzinfo=None) != moment:
        raise _error(f"a time that exists in {zone}", "clocks are put forward there; add the offset that is meant")
    raise _error(f"a time that occurs once in {zone}", "clocks are put back there; add the offset that is meant")


Text = Annotated[str, Strict()]
Name = Annotated[str, Strict(), Field(min_length=1, max_length=200, pattern=r"\S")]
Flag = Annotated[bool, Strict()]
Number = Annotated[float, Strict(), Field(allow_inf_nan=False)]
NonNegative = Annotated[float, Strict(), Field(allow_inf_nan=False, ge=0)]
Positive = Annotated[float, Strict(), Field(allow_inf_nan=False, gt=0)]
Fraction = Annotated[float, Strict(), Field(allow_inf_nan=False, ge=0, le=1)]
OpenFraction = Annotated[float, Strict(), Field(allow_inf_nan=False, gt=0, lt=1)]
PositiveFraction = Annotated[float, Strict(), Field(allow_inf_nan=False, gt=0, le=1)]
Count = Annotated[int, BeforeValidator(_whole), Strict(), Field(ge=0, le=10**12)]
PositiveCount = Annotated[int, BeforeValidator(_whole), Strict(), Field(ge=1, le=10**12)]
Day = Annotated[date, BeforeValidator(parse_day)]
Moment = Annotated[datetime, BeforeValidator(parse_moment)]


class Range(Contract):
    """A low, a middle and a high guess of one quantity; low and high are read as its 5 % and 95 %.

    Parameters
    ----------
    low, mid, high
        In ascending order, in the unit of the key that holds them, not negative.

    Examples
    --------
    >>> Range(low=900, mid=1400, high=2100).mid
    1400.0
    """

    low: NonNegative
    mid: NonNegative
    high: NonNegative

    def faults(self) -> Iterator[Fault]:
        """Yield an order that is not ascending."""
        if self.mid < self.low:
            yield Fault(("mid",), f"{self.mid:g}", f"at least low ({self.low:g})")
        if self.high < self.mid:
            yield Fault(("high",), f"{self.high:g}", f"at least mid ({self.mid:g})")
