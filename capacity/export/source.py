"""What every export is made from, and what it gives."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from capacity.catalog import Catalog
from capacity.operations import Operations
from capacity.plan import Plan
from capacity.promotion import Promotion
from capacity.result import Result
from capacity.settings import Settings

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Source:
    """A plan with the words that stand around it.

    Attributes
    ----------
    plan
        The approved plan, else the newest.
    services
        The catalogue, with the terms of this promotion.
    promotion
        Which promotion.
    settings
        Zone, currency, and what the company's Prometheus calls things.
    approved_by
        Who signed the plan; None when nobody did.
    operations
        Roster, meetings, drills and what else people do.
    """

    plan: Plan
    services: Catalog
    promotion: Promotion
    settings: Settings
    approved_by: str | None = None
    operations: Operations = field(default_factory=Operations)

    @property
    def document(self) -> dict[str, Any]:
        """Return the content of ``plan.json``."""
        return self.plan.document

    @property
    def signature(self) -> str:
        """Return the plan's signature."""
        return str(self.plan.document["signature"])

    def header(self) -> tuple[str, ...]:
        """Say which plan a file comes from, in lines for its comments; no clock, so that nothing changes by itself.

        Free text is made harmless: no line breaks, no control characters. A format whose comments can be ended by
        other signs must escape those itself.
        """
        from capacity.display.escape import plain

        signed = "not approved by anybody" if self.approved_by is None else f"approved by {plain(self.approved_by)}"
        plan = f"the plan of {plain(self.promotion.id)} as of {self.document['as_of']}, {signed}"
        return (
            f"Made by `capacity export` from {plan}.",
            f"Plan signature: {self.signature}",
            "Change the plan and export again rather than this file: a file changed by hand is not overwritten.",
        )


@dataclass(frozen=True, repr=False, eq=False)
class Export(Result):
    """The files of one target.

    Attributes
    ----------
    target
        Its name.
    files
        Text by file name; names are safe to use as they are.
    next_steps
        What to do with them: the consumer's own check first, then how they take effect.
    warnings
        What the target cannot say, and what to mind.
    plan
        Promotion, day and signature of the plan it was made from.
    """

    target: str
    files: Mapping[str, str]
    next_steps: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    plan: Mapping[str, str] = field(default_factory=dict)

    units: ClassVar[dict[str, str]] = {"bytes": "B"}

    def summary(self) -> str:
        """Return one line: which files, and how many warnings."""
        note = f", {len(self.warnings)} to mind" if self.warnings else ""
        return f"{self.target}: {', '.join(self.files)}{note}"

    def to_frame(self) -> "pd.DataFrame":
        """Return one row a file."""
        import pandas as pd

        rows = [(name, text.count("\n"), len(text.encode())) for name, text in self.files.items()]
        return pd.DataFrame(rows, columns=["file", "lines", "bytes"])
