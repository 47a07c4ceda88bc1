"""What a reader makes of a tool's files."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from capacity.errors import Problem
from capacity.loadtest.gate import Gate

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Reading:
    """The steady steps a tool's files show.

    Attributes
    ----------
    steps
        One row a steady step, columns `capacity.loadtest.steps.COLUMNS` and those of ``OPTIONAL`` that are known.
    gates
        What only this tool's files show; a gate's ``step`` is the row of ``steps``.
    notes
        What was found and taken for granted: version, layout, model, number of requests.
    broken
        Where files broke; what stands before was read.
    errors_counted
        Whether ``achieved_qps`` counts answers that failed; None where the file does not say.
    started_s
        When the run began, seconds since 1970; None where the files do not say.
    requests
        Number of requests by name, as far as the files tell them apart.
    """

    steps: pd.DataFrame
    gates: tuple[Gate, ...] = ()
    notes: tuple[str, ...] = ()
    broken: tuple[Problem, ...] = ()
    errors_counted: bool | None = None
    started_s: float | None = None
    requests: Mapping[str, int] = field(default_factory=dict)


class Tool(Protocol):
    """A reader: a module with these two functions and what the tool is called."""

    NAME: str

    def recognizes(self, head: bytes, path: Path) -> bool:
        """Whether a file that begins with ``head`` (decompressed) was written by this tool, by its content."""

    def read(self, files: Sequence[Path], *, only: Collection[str] | None = None) -> Reading:
        """Read a run; ``only`` keeps requests of these names. Raises `InputError` where nothing can be read."""
