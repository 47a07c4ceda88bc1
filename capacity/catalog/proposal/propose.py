"""A difference to ``services.yaml``, proposed from what Kubernetes or Backstage say."""

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from capacity.catalog.catalog import Catalog, parse_services
from capacity.catalog.proposal.backstage import see_backstage
from capacity.catalog.proposal.edit import Change, edit_services
from capacity.catalog.proposal.kubernetes import see_kubernetes
from capacity.catalog.proposal.sighting import Sighting, Sightings, read_objects
from capacity.errors import UsageError, did_you_mean
from capacity.result import Result

if TYPE_CHECKING:
    import pandas as pd

SOURCES: Mapping[str, Callable[[Sequence[Mapping[str, Any]], Catalog], Sightings]] = {
    "kubernetes": see_kubernetes,
    "backstage": see_backstage,
}
"""What a proposal can come from."""

_GUESSED = "guessed, the safe side: set core, non_core or degradable"


@dataclass(frozen=True, repr=False, eq=False)
class Proposal(Result):
    """A new text of ``services.yaml`` beside the one there is; nothing is written.

    Attributes
    ----------
    source
        ``kubernetes`` or ``backstage``.
    before, after
        The file's text.
    changes
        Service, key, old and new value, and which object says so.
    notes
        What a person should know or decide.
    """

    source: str
    before: str
    after: str
    changes: tuple[tuple[str, str, object, object, str], ...]
    notes: tuple[str, ...]

    @property
    def difference(self) -> str:
        """The unified difference; empty when nothing is proposed."""
        old, new = (text.splitlines() for text in (self.before, self.after))
        names = ("data/services.yaml", f"data/services.yaml, as {self.source} has it")
        lines = difflib.unified_diff(old, new, *names, lineterm="")
        return "".join(f"{line}\n" for line in lines)

    def summary(self) -> str:
        """Return one line: how much is proposed."""
        services = len({change[0] for change in self.changes})
        return f"{len(self.changes)} values of {services} services differ from {self.source}, {len(self.notes)} notes"

    def to_frame(self) -> "pd.DataFrame":
        """Return one row a proposed value."""
        import pandas as pd

        return pd.DataFrame(list(self.changes), columns=["service", "key", "now", "proposed", "says"])


def propose_services(
    text: str, *, source: str, seen: str, where: str = "data/services.yaml", file: str = ""
) -> Proposal:
    r"""Propose what another system knows of the services as a difference to their file.

    Comments, order and spelling of the file stay. Nothing is taken away: what only the file knows is told of.

    Parameters
    ----------
    text
        The content of ``services.yaml``.
    source
        ``kubernetes`` (what ``kubectl get deployments,statefulsets,hpa -o yaml`` wrote) or ``backstage``
        (``catalog-info.yaml``).
    seen
        The content of that file.
    where, file
        The files' names in messages.

    Raises
    ------
    InputError
        If a file cannot be read, or the first cannot be changed in place.
    UsageError
        If there is no such source.

    Examples
    --------
    >>> text = "- {name: cart, tier: core, instances: 3}  # trade-team\n"
    >>> seen = "{kind: Deployment, metadata: {name: cart}, spec: {replicas: 5}}"
    >>> propose_services(text, source="kubernetes", seen=seen).after
    '- {name: cart, tier: core, instances: 5}  # trade-team\n'
    """
    if source not in SOURCES:
        hint = did_you_mean(source, SOURCES)
        raise UsageError(f"--from: got {source!r}, expected {' or '.join(SOURCES)}", remedy=hint)
    catalog = parse_services(text, where=where)
    found = SOURCES[source](read_objects(seen, where=file or source), catalog)
    notes = list(found.notes)
    changes, rows = _changes(found.seen, catalog, notes)
    after = edit_services(text, changes, where=where) if changes else text
    parse_services(after, where=f"{where}, as {source} has it")
    return Proposal(source, text, after, tuple(rows), tuple(notes))


def _changes(
    seen: Sequence[Sighting], catalog: Catalog, notes: list[str]
) -> tuple[list[Change], list[tuple[str, str, object, object, str]]]:
    needs = {name: {call.to for call in service.calls} for name, service in catalog.items()}
    changes: list[Change] = []
    rows: list[tuple[str, str, object, object, str]] = []
    for one in seen:
        known = catalog[one.name] if one.name in catalog else None  # noqa: SIM401 - a catalogue's get raises
        values = {key: value for key, value in one.says.items() if known is None or getattr(known, key) != value}
        # What is not written is a default; a value that equals it is worth writing, as then it is known.
        if known is not None:
            values |= {key: value for key, value in one.says.items() if known.assumed(key)}
        calls = tuple(to for to in one.calls if _may_call(one.name, to, needs, notes))
        if known is not None and not values and not calls:
            continue
        changes.append(Change(one.name, values, calls, {"tier": _GUESSED} if known is None else None))
        rows += [(one.name, key, getattr(known, key, None), value, one.why) for key, value in values.items()]
        rows += [(one.name, "calls", None, to, one.why) for to in calls]
    return changes, rows


def _may_call(caller: str, callee: str, needs: dict[str, set[str]], notes: list[str]) -> bool:
    """Take a call into the graph unless it closes a circle, which a catalogue must not have."""
    rest, met = [callee], {callee}
    while rest:
        for further in needs.get(rest.pop(), ()):
            if further not in met:
                met.add(further)
                rest.append(further)
    if caller in met:
        notes.append(f"{caller}: depends on {callee}, which needs {caller} itself: left out, as calls run in no circle")
        return False
    needs.setdefault(caller, set()).add(callee)
    notes.append(f"{caller}: how often it calls {callee} is not known: per_request is 1 until you set it")
    return True
