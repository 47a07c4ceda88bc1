"""What reviews taught, as numbers that the next forecast reads (``data/lessons.yaml``)."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any, Literal, Self, overload

from pydantic import Field, field_validator

from capacity.document import check_document, to_yaml
from capacity.document.contract import Contract, Day, Fault, Name, Positive, Text

if TYPE_CHECKING:
    import pandas as pd

Parameter = Literal["dau", "dat_per_dau", "requests_per_dat", "peak_share", "burst", "instance_capacity_qps"]


class FactorQuantiles(Contract):
    """A multiplicative correction with its doubt; 1.0 changes nothing.

    Parameters
    ----------
    q05, q50, q95
        Ascending, more than 0.

    Examples
    --------
    >>> FactorQuantiles(q05=0.9, q50=1.1, q95=1.3).q50
    1.1
    """

    q05: Positive
    q50: Positive
    q95: Positive

    def faults(self) -> Iterator[Fault]:
        """Yield an order that is not ascending."""
        if self.q50 < self.q05:
            yield Fault(("q50",), f"{self.q50:g}", f"at least q05 ({self.q05:g})")
        if self.q95 < self.q50:
            yield Fault(("q95",), f"{self.q95:g}", f"at least q50 ({self.q50:g})")


class Lesson(Contract):
    """One correction that a review found, on what the program would otherwise say.

    Parameters
    ----------
    parameter
        What is corrected: ``dau``, ``dat_per_dau``, ``requests_per_dat``, ``peak_share``, ``burst`` or
        ``instance_capacity_qps``.
    scope
        Where it holds, such as ``{kind: double11, service: checkout}``; ``all`` or ``{}`` is everywhere.
    quantiles
        Truth divided by what was said, on a ratio scale.
    evidence
        What it rests on, in words.
    promotion
        The id of the promotion that taught it.
    learned_at
        The day; it is invisible to an `as_of` of that day or earlier.

    Examples
    --------
    >>> lesson = Lesson(parameter="dau", scope={"kind": "double11"}, quantiles={"q05": 1, "q50": 1.1, "q95": 1.2},
    ...                 promotion="2025-double11", learned_at="2025-11-20")
    >>> lesson.holds_for(kind="double11", segment="app"), lesson.holds_for(kind="618")
    (True, False)
    """

    parameter: Parameter
    scope: dict[Name, Text] = Field(default_factory=dict)
    quantiles: FactorQuantiles
    evidence: Text = ""
    promotion: Name
    learned_at: Day

    @field_validator("scope", mode="before")
    @classmethod
    def _everywhere(cls, value: Any) -> Any:
        return {} if value == "all" else value

    def holds_for(self, **scope: str) -> bool:
        """Tell whether every key of the lesson's scope is given with the same value."""
        return all(scope.get(key) == value for key, value in self.scope.items())


class Action(Contract):
    """Something that a person has to do.

    Parameters
    ----------
    text
        What.
    owner
        Who; empty when nobody has taken it.
    due
        Until when.
    status
        ``open`` or ``done``.
    """

    text: Name
    owner: Text = ""
    due: Day | None = None
    status: Literal["open", "done"] = "open"


class Lessons(Sequence[Lesson]):
    """All lessons, oldest first.

    Examples
    --------
    >>> parse_lessons("[]").find("dau", kind="double11")
    <Lessons: 0>
    """

    def __init__(self, lessons: Iterable[Lesson] = ()) -> None:
        self._lessons = tuple(sorted(lessons, key=lambda lesson: lesson.learned_at))

    @overload
    def __getitem__(self, index: int) -> Lesson: ...
    @overload
    def __getitem__(self, index: slice) -> Self: ...
    def __getitem__(self, index: int | slice) -> "Lesson | Lessons":
        return Lessons(self._lessons[index]) if isinstance(index, slice) else self._lessons[index]

    def __len__(self) -> int:
        return len(self._lessons)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Lessons) and self._lessons == other._lessons

    def __hash__(self) -> int:
        return hash(self.to_yaml())

    def __repr__(self) -> str:
        return f"<Lessons: {len(self)}>"

    def find(self, parameter: str, **scope: str) -> "Lessons":
        """Return the lessons on a parameter that hold for a scope, such as ``kind="618", service="search"``.

        A lesson without a key of its own scope holds for every value of it. The most specific come
        last, so that the last one is the one to prefer; of equally specific ones, the newest.
        """
        found = [le for le in self._lessons if le.parameter == parameter and le.holds_for(**scope)]
        ordered = Lessons()
        ordered._lessons = tuple(sorted(found, key=lambda lesson: (len(lesson.scope), lesson.learned_at)))
        return ordered

    def before(self, as_of: date) -> "Lessons":
        """Return those learned before a day."""
        return Lessons(lesson for lesson in self._lessons if lesson.learned_at < as_of)

    def with_lessons(self, lessons: Iterable[Lesson]) -> "Lessons":
        """Return these and new ones; a new one replaces what the same promotion taught before.

        Reviewing a promotion twice must not count it twice.
        """
        new = list(lessons)
        replaced = {_key(lesson) for lesson in new}
        return Lessons([*(le for le in self._lessons if _key(le) not in replaced), *new])

    def to_frame(self) -> "pd.DataFrame":
        """Return one row a lesson: what it corrects, where, by how much, and from what it was learnt."""
        import pandas as pd

        columns = ["parameter", "scope", "q05", "q50", "q95", "evidence", "promotion", "learned_at"]
        rows = [
            {
                "parameter": lesson.parameter,
                "scope": ", ".join(f"{key} {value}" for key, value in lesson.scope.items()) or "everywhere",
                **lesson.quantiles.model_dump(),
                "evidence": lesson.evidence,
                "promotion": lesson.promotion,
                "learned_at": lesson.learned_at,
            }
            for lesson in self
        ]
        return pd.DataFrame(rows, columns=columns)

    def to_yaml(self) -> str:
        """Write ``data/lessons.yaml``; `parse_lessons` reads the same lessons back."""
        rows = [
            {
                "parameter": lesson.parameter,
                "scope": dict(lesson.scope) or "all",
                "quantiles": lesson.quantiles.model_dump(),
                "evidence": lesson.evidence,
                "promotion": lesson.promotion,
                "learned_at": lesson.learned_at.isoformat(),
            }
            for lesson in self._lessons
        ]
        return to_yaml(rows)


def parse_lessons(text: str, *, where: str = "data/lessons.yaml") -> Lessons:
    """Read ``data/lessons.yaml``.

    Parameters
    ----------
    text
        The file's content: a list of lessons.
    where
        The file's name in messages.

    Returns
    -------
    Lessons
        Checked.

    Raises
    ------
    InputError
        With every problem of the file.
    """
    return Lessons(check_document(text, model=list[Lesson], where=where, label="parameter"))


def _key(lesson: Lesson) -> tuple[object, ...]:
    return lesson.parameter, tuple(sorted(lesson.scope.items())), lesson.promotion
