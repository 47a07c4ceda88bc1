"""The part of a workspace that keeps what was made for people and other systems."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from capacity.document import read_text, write_text
from capacity.promotion import Promotions

if TYPE_CHECKING:
    from datetime import date

    from capacity.export import Export
    from capacity.journal import Journal
    from capacity.operations import Runbook, Woven
    from capacity.retrospective import Filled, Review
    from capacity.workspace.exports import Written


class Keeps:
    """Exports, runbooks and reviews on disk; what a person wrote there is never lost."""

    directory: Path
    _as_of: "date | None"

    if TYPE_CHECKING:

        @property
        def promotions(self) -> Promotions: ...  # noqa: D102 - the workspace has it

        def journal(self, promotion: str) -> Journal: ...  # noqa: D102

    def write_export(self, export: "Export", *, folder: Path | None = None, force: bool = False) -> "Written":
        """Write an export with the difference to the one before, into ``exports/ID/TARGET`` when not said where.

        Raises
        ------
        InputError
            If files there were changed by hand and not ``force``; nothing is written then.
        """
        from capacity.workspace.exports import write_export

        promotion = self.promotions[export.plan["promotion"]]
        home = folder or self.directory / "exports" / promotion.slug / export.target
        return write_export(home, export, force=force)

    def write_runbooks(self, runbooks: "Sequence[Runbook]") -> "dict[str, Woven]":
        """Write runbooks below ``data/runbooks``, parts that a person changed kept; return what became of each file."""
        from capacity.operations import weave

        home = self.directory / "data" / "runbooks"
        found = {}
        for book in runbooks:
            path = home / book.file
            there = read_text(path, name=book.file) if path.is_file() else None
            woven = found[book.file] = weave(book, there)
            if woven.text != there:
                write_text(path, woven.text)
        return found

    def kept_review(self, promotion: str) -> "Filled | None":
        """Return what people filled in, what worked and what was left to do; None when nothing is kept."""
        from capacity.retrospective import parse_filled

        path = self._review_path(promotion)
        if not path.is_file() or (self._as_of is not None and self.promotions[promotion].ends_at.date() >= self._as_of):
            return None
        name = path.relative_to(self.directory).as_posix()
        return parse_filled(read_text(path, name=name), where=name)

    def keep_review(self, review: "Review") -> Path:
        """Write what worked and what is left to do to ``data/reviews/ID.yaml``; what people filled in there stays."""
        from capacity.retrospective import Filled, find_tactics, write_filled

        promotion = review.promotion.id
        tactics = list(find_tactics(review, self.journal(promotion)))
        there = self.kept_review(promotion) or Filled()
        path = self._review_path(promotion)
        write_text(path, write_filled(there.model_copy(update={"tactics": tactics, "actions": list(review.actions)})))
        return path

    def _review_path(self, promotion: str) -> Path:
        return self.directory / "data" / "reviews" / f"{self.promotions[promotion].slug}.yaml"

    def old_runbooks(self, runbooks: "Sequence[Runbook]") -> tuple[str, ...]:
        """Return the files below ``data/runbooks`` with generated parts that none of the runbooks makes anew."""
        from capacity.operations import has_generated

        made = {book.file for book in runbooks}
        files = sorted((self.directory / "data" / "runbooks").glob("*.md"))
        return tuple(p.name for p in files if p.name not in made and has_generated(read_text(p, name=p.name)))
