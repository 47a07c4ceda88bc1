"""Tables as immutable Parquet parts named by one small manifest.

A writer puts new parts beside the old ones and then replaces the manifest in one step: readers see the old table
or the new one, whole, and never wait. Parts that no manifest names any more are kept for an hour, for readers
that have just read the old manifest. One writer at a time: a lock that the kernel drops with its process.
"""

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from capacity.document import write_bytes
from capacity.errors import CapacityError, InputError, Problem

MANIFEST = "manifest.json"
_SCHEMA = "capacity.table/1"
_KEEP_S = 3600
_WAIT_S = 600.0
_STAGING = ".staging-"


@dataclass(frozen=True)
class Part:
    """One Parquet file of a table.

    Parameters
    ----------
    file
        Its name in the table's folder; holds a digest of the content.
    rows
        How many.
    sha256
        Of the file.
    first_us, last_us
        Earliest and latest instant (or day), in microseconds since 1970 UTC; None in a table without.
    """

    file: str
    rows: int
    sha256: str
    first_us: int | None
    last_us: int | None


def read_parts(folder: Path) -> tuple[Part, ...]:
    """Return the parts of a table as it is now; none when it was never written.

    Raises
    ------
    InputError
        If the manifest is not one of ours.
    """
    path = folder / MANIFEST
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["schema"] != _SCHEMA:
            raise ValueError(f"schema {document['schema']!r}")  # noqa: TRY301 - one message for all that is wrong
        return tuple(Part(**part) for part in document["parts"])
    except FileNotFoundError:
        return ()
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(
            f"{path}: not a manifest of a table ({error})",
            remedy="only capacity ingest writes tables: restore the file, or delete the folder and ingest again",
        ) from None


def unreadable_table(table: str, got: str) -> InputError:
    """Say that a table's files are missing or broken, and how to get the table back."""
    problem = Problem(f"data/tables/{table}", got, "the files that ingest wrote")
    return InputError(
        f"the table {table} cannot be read",
        problems=[problem],
        remedy=f"put its files back, or delete data/tables/{table} and ingest its sources again",
    )


def publish(folder: Path, parts: Sequence[Part]) -> None:
    """Make `parts` the table, in one step; old parts are deleted when nobody can be about to read them."""
    ordered = sorted(parts, key=lambda part: part.file)
    document = {"schema": _SCHEMA, "rows": sum(p.rows for p in ordered), "parts": [asdict(part) for part in ordered]}
    write_bytes(folder / MANIFEST, json.dumps(document, indent=1).encode())
    _retire(folder, {part.file for part in ordered})


def adopt(folder: Path, file: Path, *, stem: str, rows: int, first_us: int | None, last_us: int | None) -> Part:
    """Move a finished Parquet file into a table's folder under the name of its content."""
    with file.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
        os.fsync(opened.fileno())
    name = f"{stem}-{digest[:16]}.parquet"
    file.replace(folder / name)
    return Part(name, rows, digest, first_us, last_us)


@contextmanager
def writing(folder: Path, *, wait_s: float = _WAIT_S, say: Callable[[str], None] | None = None) -> Iterator[Path]:
    """Hold a table's lock; yield a folder for work that is removed afterwards.

    Parameters
    ----------
    folder
        The table's.
    wait_s
        How long to wait for another writer.
    say
        Told when there is one.

    Raises
    ------
    CapacityError
        If the other writer is not done in time.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("a+b") as lock:
        _acquire(lock.fileno(), folder, wait_s, say)
        # Whoever left these behind was killed: it held the lock that we hold.
        for left in folder.glob(f"{_STAGING}*"):
            shutil.rmtree(left, ignore_errors=True)
        staging = Path(tempfile.mkdtemp(prefix=_STAGING, dir=folder))
        try:
            yield staging
        finally:
            shutil.rmtree(staging, ignore_errors=True)


def _acquire(descriptor: int, folder: Path, wait_s: float, say: Callable[[str], None] | None) -> None:
    until = time.monotonic() + wait_s
    told = False
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                raise CapacityError(
                    f"{folder}: another ingest has been writing this table for {wait_s:.0f} s",
                    remedy="wait for it to end, or end it; its lock goes with it",
                ) from None
            if say is not None and not told:
                say(f"Waiting for another ingest into {folder.name}")
                told = True
            time.sleep(0.05)
        else:
            return


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _retire(folder: Path, current: set[str]) -> None:
    """Mark what is no longer named; delete what was marked an hour ago."""
    now = time.time()
    for file in folder.glob("*.parquet"):
        if file.name in current:
            continue
        mark = folder / f".{file.name}.old"
        if not mark.exists():
            mark.touch()
        elif now - mark.stat().st_mtime > _KEEP_S:
            file.unlink(missing_ok=True)
            mark.unlink(missing_ok=True)
    for mark in folder.glob(".*.parquet.old"):
        name = mark.name[1 : -len(".old")]
        if name in current or not (folder / name).exists():
            mark.unlink(missing_ok=True)
