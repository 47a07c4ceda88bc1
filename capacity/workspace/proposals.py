"""Differences to ``data/services.yaml``, proposed and taken over."""

from typing import TYPE_CHECKING

from capacity.document import read_text, write_text
from capacity.errors import InputError
from capacity.workspace.template import SERVICES_FILE

if TYPE_CHECKING:
    from capacity.catalog.proposal import Proposal
    from capacity.workspace.workspace import Workspace


def propose_from(ws: "Workspace", source: str, seen: str, *, file: str = "") -> "Proposal":
    """Propose what a file of another system says of the services, as ``propose_services`` does.

    Parameters
    ----------
    ws
        The company's folder.
    source
        ``kubernetes`` or ``backstage``.
    seen
        The file's content.
    file
        Its name in messages.
    """
    from capacity.catalog.proposal import propose_services

    text = read_text(ws.directory / SERVICES_FILE, name=SERVICES_FILE)
    return propose_services(text, source=source, seen=seen, where=SERVICES_FILE, file=file)


def write_proposal(ws: "Workspace", proposal: "Proposal") -> None:
    """Take a proposal over.

    Raises
    ------
    InputError
        If the file was changed since; nothing is written then.
    """
    path = ws.directory / SERVICES_FILE
    if read_text(path, name=SERVICES_FILE) != proposal.before:
        raise InputError(f"{SERVICES_FILE} was changed since the proposal was made", remedy="propose again")
    write_text(path, proposal.after)
