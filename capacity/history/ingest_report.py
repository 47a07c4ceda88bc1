"""What an ingest did, for people and for programs."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd

from capacity.display.escape import plain
from capacity.history.inspection import Inspection
from capacity.history.intake import Settled
from capacity.result import Result


@dataclass(frozen=True)
class IngestReport(Result):
    """What became of a source's rows.

    Parameters
    ----------
    table, source, files
        What was taken in, from how many files.
    settled
        Counts of rows, duplicates and clock changes.
    rejected
        Columns reason, rows, first_line (``file:line``), most rows first.
    rejected_path
        Where the rejected rows lie, relative to the workspace; None without any.
    days, first_day, last_day
        Local days that the source has; of those, what the table had of the same services gave way.
    rows_replaced
        Rows of the table that gave way.
    inspection
        Gaps, counters, the busiest hour.
    timezone
        The workspace's, whose days count.
    timezone_assumed
        Zone that times without an offset were taken in.
    warnings
        What a person should look at.
    """

    units: ClassVar[dict[str, str]] = {}

    table: str
    source: str
    files: int
    settled: Settled
    rejected: pd.DataFrame
    rejected_path: Path | None
    days: int
    first_day: date | None
    last_day: date | None
    rows_replaced: int
    inspection: Inspection
    timezone: str
    timezone_assumed: str
    warnings: tuple[str, ...]

    @property
    def rows_read(self) -> int:
        """Rows of the source, blank ones left out."""
        return self.settled.rows_read

    @property
    def rows_kept(self) -> int:
        """Rows that are now in the table."""
        return self.settled.rows_kept

    @property
    def rows_rejected(self) -> int:
        """Rows that broke the contract."""
        return int(self.rejected["rows"].sum())

    @property
    def duplicates(self) -> int:
        """Rows that were equal to another and were left out."""
        return self.settled.identical_duplicates

    @property
    def gaps(self) -> pd.DataFrame:
        """The longest gaps, at most a hundred."""
        return self.inspection.gaps

    @property
    def resets(self) -> pd.DataFrame | None:
        """Services whose requests look like a running counter."""
        return self.inspection.resets

    @property
    def busiest_hour(self) -> str:
        """Local hour of the day with the highest mean rate."""
        return self.inspection.busiest_hour

    @property
    def clock_changes(self) -> dict[str, int]:
        """Rows at local times that came twice, by how they were placed."""
        return {
            "first_pass": self.settled.repeated_first,
            "second_pass": self.settled.repeated_second,
            "alone_taken_as_first": self.settled.repeated_alone,
        }

    def summary(self) -> str:
        """Say the report in one line."""
        return f"{self.table}: {self.rows_kept:,} of {self.rows_read:,} rows kept, {self.rows_rejected:,} rejected"

    def to_frame(self) -> pd.DataFrame:
        """Return the rejected rows by reason."""
        return self.rejected

    def to_document(self) -> dict[str, Any]:
        """Return the report as plain values."""
        gaps = self.gaps.astype(str) if len(self.gaps) else self.gaps
        return {
            "table": self.table,
            "source": self.source,
            "files": self.files,
            "rows_read": self.rows_read,
            "rows_kept": self.rows_kept,
            "rows_rejected": self.rows_rejected,
            "rejected": self.rejected.to_dict(orient="records"),
            "rejected_path": None if self.rejected_path is None else self.rejected_path.as_posix(),
            "days": self.days,
            "first_day": None if self.first_day is None else self.first_day.isoformat(),
            "last_day": None if self.last_day is None else self.last_day.isoformat(),
            "rows_replaced": self.rows_replaced,
            "duplicates": self.duplicates,
            "gaps": self.inspection.n_gaps,
            "missing_s": self.inspection.missing_s,
            "longest_gaps": gaps.head(10).to_dict(orient="records"),
            "resets": [] if self.resets is None else self.resets.to_dict(orient="records"),
            "clock_changes": self.clock_changes,
            "rows_with_offset": self.settled.with_offset,
            "rows_without_offset": self.settled.without_offset,
            "timezone_assumed": self.timezone_assumed,
            "busiest_hour": self.busiest_hour,
            "warnings": list(self.warnings),
        }

    def __str__(self) -> str:
        return "\n".join(plain(line) for line in [*self._rows(), *self._times(), *self._findings()])

    def _rows(self) -> list[str]:
        lines = [f"{self.table}: {self.rows_kept:,} of {self.rows_read:,} rows kept from {self.source}"]
        if self.rows_rejected:
            lines.append(f"{self.rows_rejected:,} rows rejected, written with their lines to {self.rejected_path}:")
            lines += [
                f"  {row.rows:>9,}  {row.reason} (first at {row.first_line})" for row in self.rejected.itertuples()
            ]
        if self.duplicates:
            lines.append(f"{self.duplicates:,} rows were equal to another one and left out")
        if self.first_day is not None:
            replaced = f"; {self.rows_replaced:,} rows of the table gave way" if self.rows_replaced else ""
            lines.append(f"Days: {self.days:,}, from {self.first_day} to {self.last_day}{replaced}")
        return lines

    def _times(self) -> list[str]:
        lines = []
        if self.settled.without_offset:
            mixed = f"; {self.settled.with_offset:,} rows said their own offset" if self.settled.with_offset else ""
            lines.append(f"Times without an offset were taken as {self.timezone_assumed}{mixed}")
        elif self.settled.with_offset:
            lines.append("Every time said its own offset")
        if any(self.clock_changes.values()):
            first, second, alone = self.clock_changes.values()
            lines.append(
                f"Clock change: of the local times that came twice {first + alone:,} rows were placed in the "
                f"first pass, {second:,} in the second"
            )
        if self.busiest_hour:
            lines.append(f"Busiest hour: {self.busiest_hour}")
        return lines

    def _findings(self) -> list[str]:
        lines = []
        if self.inspection.n_gaps:
            longest = self.gaps.iloc[0]
            lines.append(
                f"Gaps: {self.inspection.n_gaps:,}, {self.inspection.missing_s / 3600:,.1f} h in all; the longest: "
                f"{longest.iloc[0]}, {longest.iloc[1]} to {longest.iloc[2]}"
            )
        return lines + [f"Warning: {warning}" for warning in self.warnings]
