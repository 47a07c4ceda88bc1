"""The plans of one promotion on disk: written whole, read with everything checked that they rest on."""

import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from capacity.document import read_text, write_bytes, write_text
from capacity.errors import CapacityError, InputError, NotCoveredError, Problem

if TYPE_CHECKING:
    import numpy as np

    from capacity.catalog import Catalog
    from capacity.plan import Plan
    from capacity.promotion import Promotion
    from capacity.rehearsal import Rehearsal

_APPROVED, _NEWEST = ("approved.json", "approved.npz"), ("plan.json", "samples.npz")


@dataclass(frozen=True)
class PlanShelf:
    """The plans below ``data/plans/ID``, one folder an ``as_of``.

    Attributes
    ----------
    root
        The workspace's folder.
    slug
        The promotion's folder name.
    until
        Plans made later than as of this day are invisible; None shows all.
    """

    root: Path
    slug: str
    until: date | None

    @property
    def home(self) -> Path:
        """The folder of all its plans."""
        return self.root / "data" / "plans" / self.slug

    def read(self, *, promotion: "Promotion", services: "Catalog") -> "Plan":
        """Return the approved plan, else the newest, with its samples.

        Raises
        ------
        NotCoveredError
            If there is none.
        InputError
            If its document or its samples are not what was written.
        """
        from capacity.plan import Plan

        folder, (document_name, samples_name) = self._chosen(promotion.id)
        document = self._document(folder / document_name, promotion.id)
        arrays = self._samples(folder / samples_name)
        try:
            return Plan.from_arrays(document, arrays, services=services, promotion=promotion)
        except (CapacityError, ValueError, KeyError, IndexError, TypeError) as error:
            says = error.message if isinstance(error, CapacityError) else error
            raise self._unusable(folder / samples_name, f"samples of another kind ({says})") from None

    def approved_by(self) -> str | None:
        """Return who signed the newest signed plan, or None."""
        signed = [folder / _APPROVED[0] for folder in self._folders() if (folder / _APPROVED[0]).is_file()]
        return str(self._json(signed[-1]).get("approved_by")) if signed else None

    def save(self, plan: "Plan", rehearsal: "Rehearsal | None", *, approved_by: str | None) -> None:
        """Write a plan, its samples, its rehearsal and its approval."""
        folder = self.home / str(plan.document["as_of"])
        samples = _pack(plan.to_arrays())
        write_bytes(folder / _NEWEST[1], samples)
        write_text(folder / _NEWEST[0], plan.to_json())
        if rehearsal is not None:
            write_text(folder / "rehearsal.json", json.dumps(rehearsal.to_document(), ensure_ascii=False, indent=1))
        if approved_by is not None:
            write_bytes(folder / _APPROVED[1], samples)
            approval = {
                "schema": "capacity.approval/1",
                "approved_by": approved_by,
                "approved_at": datetime.now(UTC).isoformat(timespec="seconds"),
                "plan": plan.document,
            }
            write_text(folder / _APPROVED[0], json.dumps(approval, ensure_ascii=False, indent=1))

    def _folders(self) -> list[Path]:
        made = sorted(folder for folder in self.home.glob("*") if (folder / _NEWEST[0]).is_file())
        return [folder for folder in made if self.until is None or folder.name <= self.until.isoformat()]

    def _chosen(self, promotion: str) -> tuple[Path, tuple[str, str]]:
        made = self._folders()
        if not made:
            before = "" if self.until is None else f" made before {self.until.isoformat()}"
            raise NotCoveredError(
                f"there is no plan of {promotion}{before}", remedy=f"make one with: capacity plan {promotion}"
            )
        approved = [folder for folder in made if (folder / _APPROVED[0]).is_file()]
        return (approved[-1], _APPROVED) if approved else (made[-1], _NEWEST)

    def _document(self, path: Path, promotion: str) -> dict[str, Any]:
        from capacity.plan import check_plan_document

        document = self._json(path)
        if path.name == _APPROVED[0]:
            document = document.get("plan")  # type: ignore[assignment]  # checked next
        check_plan_document(document, where=self._name(path))
        # A signed plan in another plan's folder would be taken for that one.
        named = {"promotion": promotion, "as_of": path.parent.name}
        problems = [
            Problem(f"{self._name(path)} {key}", repr(document[key]), repr(value), "move it to the folder of its own")
            for key, value in named.items()
            if document[key] != value
        ]
        if problems:
            raise InputError(f"{self._name(path)} is the plan of something else", problems=problems)
        return document

    def _json(self, path: Path) -> dict[str, Any]:
        text = read_text(path, name=self._name(path))
        try:
            found = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise self._unusable(path, f"text that is not JSON ({error})") from None
        if not isinstance(found, dict):
            raise self._unusable(path, f"a JSON {type(found).__name__}")
        return found

    def _samples(self, path: Path) -> "dict[str, np.ndarray[Any, Any]]":
        import numpy as np

        try:
            with np.load(path, allow_pickle=False) as arrays:
                return dict(arrays)
        except FileNotFoundError:
            raise self._unusable(path, "no such file") from None
        except (OSError, ValueError, EOFError, TypeError, KeyError, zipfile.BadZipFile, zlib.error) as error:
            raise self._unusable(path, f"a broken file ({error})") from None

    def _unusable(self, path: Path, got: str) -> InputError:
        problem = Problem(self._name(path), got, "the file as `capacity plan` wrote it")
        return InputError(
            f"the plan in {self._name(path.parent)} cannot be used",
            problems=[problem],
            remedy="put the file back, or make the plan again with capacity plan, and sign it again if it was signed",
        )

    def _name(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()


def _pack(arrays: Mapping[str, object]) -> bytes:
    import numpy as np

    buffer = BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()
