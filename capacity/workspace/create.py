"""Making a workspace, empty or with a sample company in it."""

from pathlib import Path
from typing import TYPE_CHECKING

from capacity.document import write_text
from capacity.errors import InputError, Problem
from capacity.workspace.template import EMPTY
from capacity.workspace.workspace import Workspace

if TYPE_CHECKING:
    from capacity.demo import Company


def create_workspace(directory: str | Path, *, sample: "Company | None" = None) -> Workspace:
    """Make a workspace: an empty one to fill, or a sample company.

    Files that are there already and would change are never overwritten.

    Parameters
    ----------
    directory
        The folder; made when missing.
    sample
        A company from :func:`capacity.demo.make_company`.

    Raises
    ------
    InputError
        If a file of another content is already there, naming all of them; nothing is written then.
    """
    root = Path(directory)
    texts = EMPTY if sample is None else sample.texts
    clashes = [
        Problem(name, "a file of other content", "no file, or the same content", "move it away, or take another folder")
        for name, text in texts.items()
        if (root / name).exists() and (root / name).read_bytes() != text.encode()
    ]
    if clashes:
        raise InputError(f"{root} already holds files that differ", problems=clashes)
    for name, text in texts.items():
        if not (root / name).exists():
            write_text(root / name, text)
    workspace = Workspace(root)
    if sample is not None:
        for table in ("daily_activity", "traffic", "calls"):
            workspace.store.write(table, getattr(sample, table))
    return Workspace(root)
