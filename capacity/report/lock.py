"""One run at a time for one page."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def hold(target: Path) -> Iterator[None]:
    """Hold the lock of a page's folder; wait while another process has it.

    The lock belongs to the process: it is gone when that is killed, and an empty file is all that stays.
    """
    reports, report, promotion = target.parents[2], target.parents[1].name, target.parent.name
    target.parent.mkdir(parents=True, exist_ok=True)
    locks = reports / ".locks"
    locks.mkdir(exist_ok=True)
    with (locks / f"{report}--{promotion}--{target.name}").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(file, fcntl.LOCK_UN)
