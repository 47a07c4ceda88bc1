"""The exceptions of the program, each with the exit code the command line ends with.

::

    CapacityError               2   everything the program knows how to explain
    ├── InputError              2   a file, table or argument breaks its contract
    ├── UsageError              2   the command or call itself is wrong
    ├── UnreachableError        2   a server does not answer
    ├── NotCoveredError         3   the data do not cover what was asked
    ├── InfeasibleError         3   no plan fulfils what was asked
    ├── NotebookFailedError     4   a notebook of a report failed
    └── NotebookTimedOutError   5   a notebook of a report took too long
"""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

_LONGEST_GOT = 120


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong in an input.

    Parameters
    ----------
    where
        File, line and key path: ``"data/services.yaml:12 checkout.calls[0].to"``.
    got
        What stands there, in the reader's notation.
    expected
        What the contract asks for.
    remedy
        What to do next; empty when `expected` says it already.

    Examples
    --------
    >>> print(Problem("data/services.yaml:3 checkout.tier", "'kore'", "core or non_core", "did you mean 'core'?"))
    data/services.yaml:3 checkout.tier: got 'kore', expected core or non_core; did you mean 'core'?
    """

    where: str
    got: str
    expected: str
    remedy: str = ""

    def __str__(self) -> str:
        got = self.got if len(self.got) <= _LONGEST_GOT else self.got[: _LONGEST_GOT - 1] + "…"
        tail = f"; {self.remedy}" if self.remedy else ""
        return _one_line(f"{self.where}: got {got}, expected {self.expected}{tail}")


class CapacityError(Exception):
    """Anything the program can explain to its user.

    Parameters
    ----------
    message
        What failed, in one sentence.
    problems
        Every single thing that is wrong; all are shown.
    remedy
        What to do next.

    Examples
    --------
    >>> print(CapacityError("nothing to plan", remedy="ingest traffic first"))
    nothing to plan
    Next: ingest traffic first
    """

    exit_code: ClassVar[int] = 2

    def __init__(self, message: str, *, problems: Sequence[Problem] = (), remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.problems = tuple(problems)
        self.remedy = remedy

    def __str__(self) -> str:
        lines = [self.message, *(f"  - {problem}" for problem in self.problems)]
        if self.remedy:
            lines.append(f"Next: {self.remedy}")
        return "\n".join(lines)


class InputError(CapacityError):
    """A file, a table or an argument breaks its contract."""


class UsageError(CapacityError):
    """The command or the call itself cannot be understood."""


class UnreachableError(CapacityError):
    """A server does not answer; asked again later, it may."""


class NotCoveredError(CapacityError):
    """The data do not cover what was asked; an answer would be invented."""

    exit_code: ClassVar[int] = 3


class InfeasibleError(CapacityError):
    """No plan fulfils what was asked."""

    exit_code: ClassVar[int] = 3


class NotebookFailedError(CapacityError):
    """A notebook of a report failed."""

    exit_code: ClassVar[int] = 4


class NotebookTimedOutError(CapacityError):
    """A notebook of a report took longer than allowed."""

    exit_code: ClassVar[int] = 5


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Suggest the known name that is closest to a mistyped one.

    Parameters
    ----------
    name
        What was written.
    known
        What could have been meant.

    Returns
    -------
    str
        ``"did you mean 'x'?"``, or an empty string when nothing is close.

    Examples
    --------
    >>> did_you_mean("chekout", ["checkout", "search"])
    "did you mean 'checkout'?"
    >>> did_you_mean("zzz", ["checkout", "search"])
    ''
    """
    lowered: dict[str, str] = {}
    for candidate in known:
        lowered.setdefault(candidate.lower(), candidate)
    close = difflib.get_close_matches(name.lower(), lowered, n=1, cutoff=0.6)
    return f"did you mean {lowered[close[0]]!r}?" if close else ""


def _one_line(text: str) -> str:
    """Show control characters instead of letting a file's content steer the terminal."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
