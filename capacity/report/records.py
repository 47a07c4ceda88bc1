"""What is on file of report runs: the one reader of run.json and metrics.json."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FAILED = "failed"


@dataclass(frozen=True)
class Record:
    """One run on file.

    Attributes
    ----------
    folder
        Where its files lie; a failed attempt's is ``failed`` below the good run's.
    run
        ``run.json``.
    metrics
        ``metrics.json``; empty for a failed attempt.
    """

    folder: Path
    run: Mapping[str, Any]
    metrics: Mapping[str, Any]

    @property
    def report(self) -> str:
        """Name of the report."""
        return str(self.run["report"])

    @property
    def promotion(self) -> str:
        """Id of the promotion."""
        return str(self.run["promotion"])

    @property
    def as_of(self) -> str:
        """First day that was not known."""
        return str(self.run["as_of"])

    @property
    def is_good(self) -> bool:
        """Whether it ran to its end."""
        return bool(self.run["status"] == "ok")

    @property
    def verdict(self) -> str:
        """What it says first; the error of one that failed."""
        return str((self.metrics.get("verdict") if self.is_good else self.run.get("error")) or "")

    @property
    def key(self) -> str | None:
        """What it was made from, as one hash; None for runs of older versions."""
        found = self.run.get("key")
        return None if found is None else str(found)


def read_record(folder: Path) -> Record | None:
    """Return the run in a folder, or None where there is none that can be read."""
    run = _object(folder / "run.json")
    if run is None or not {"report", "promotion", "as_of", "status"} <= set(run):
        return None
    return Record(folder, run, _object(folder / "metrics.json") or {})


def list_records(reports: Path) -> Iterator[Record]:
    """Yield every run below a reports folder, failed attempts included, newest day first."""
    folders = [
        path.parent for pattern in ("*/*/*/run.json", f"*/*/*/{FAILED}/run.json") for path in reports.glob(pattern)
    ]
    found = [record for folder in folders if (record := read_record(folder)) is not None]
    yield from sorted(found, key=lambda record: (record.as_of, str(record.run.get("started_at"))), reverse=True)


def good_neighbours(target: Path) -> tuple[Record | None, Record | None]:
    """Return the good runs of the same report and promotion as known just before and just after a day."""
    days = sorted(path.parent.name for path in target.parent.glob("*/run.json") if not path.parent.name.startswith("."))
    before = [day for day in days if day < target.name]
    after = [day for day in days if day > target.name]
    return (
        read_record(target.parent / before[-1]) if before else None,
        read_record(target.parent / after[0]) if after else None,
    )


def _object(path: Path) -> dict[str, Any] | None:
    # A file that somebody cut short must not keep every other run from being listed.
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
