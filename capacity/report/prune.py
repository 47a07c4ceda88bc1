"""Delete pages that nobody needs any more."""

import shutil
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from capacity.errors import UsageError
from capacity.report.index import write_index
from capacity.report.lock import hold
from capacity.report.records import FAILED, Record, list_records


@dataclass(frozen=True)
class Pruned:
    """What was deleted, or would be.

    Attributes
    ----------
    folders
        Of runs, good and failed.
    bytes
        What they take.
    """

    folders: tuple[Path, ...]
    bytes: int


def prune_reports(reports: Path, *, keep: int, dry_run: bool = False) -> Pruned:
    """Keep the newest good pages of every report and promotion, and the newest failed attempt where nothing came after.

    Parameters
    ----------
    reports
        The reports folder.
    keep
        Good pages to keep of each; at least one.
    dry_run
        Only say what would go.

    Raises
    ------
    UsageError
        If nothing would be kept.
    """
    if keep < 1:
        raise UsageError(f"--keep: got {keep}, expected at least 1")
    groups: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for record in list_records(reports):
        groups[record.report, record.promotion].append(record)
    gone: list[Path] = []
    for records in groups.values():
        good = [record for record in records if record.is_good]
        kept = {record.folder for record in good[:keep]}
        newest = max((record.as_of for record in good), default="")
        gone += [record.folder for record in good[keep:]]
        failed = [record for record in records if not record.is_good]
        gone += [r.folder for r in failed if (r.folder.parent in kept and str(r.as_of) < newest) or r.as_of < newest]
    chosen = tuple(dict.fromkeys(folder for folder in gone if folder.parent not in gone))
    size = sum(path.stat().st_size for folder in chosen for path in folder.rglob("*") if path.is_file())
    if not dry_run:
        for folder in chosen:
            with hold(folder.parent if folder.name == FAILED else folder):
                shutil.rmtree(folder, ignore_errors=True)
        write_index(reports)
    return Pruned(chosen, size)
