"""Services as Backstage knows them: owners, what they depend on, and services that are new."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from capacity.catalog.catalog import Catalog
from capacity.catalog.proposal.sighting import Sighting, Sightings, mapping

_KINDS = ("Component", "Resource")
_UNKNOWN = {"", "unknown"}
# Backstage's types are free words; these are the usual ones for what is not scaled like a service.
_STORES = {"database", "db"}
_OTHERS = {"third-party", "external"}
_TIERS = ("core", "non_core", "degradable")


def see_backstage(objects: Sequence[Mapping[str, Any]], catalog: Catalog) -> Sightings:
    """Say who owns which service, what it depends on, and which are not in the catalogue yet.

    An entity is the service that its annotation ``capacity/service`` names, else the one with its own name. What
    Backstage does not know, such as how often one service calls another, is left to a person.

    Parameters
    ----------
    objects
        The documents of ``catalog-info.yaml``.
    catalog
        The services known today.
    """
    entities = [
        one for one in objects if one.get("kind") in _KINDS and isinstance(mapping(one, "metadata").get("name"), str)
    ]
    names = {f"{kind.lower()}:default/{name.lower()}": name for kind in _KINDS for name in catalog}
    names |= {_reference(one): _name(one) for one in entities}
    titles = {
        _reference(one): str(mapping(one, "metadata").get("title") or "")
        for one in objects
        if one.get("kind") == "Group"
    }
    seen: list[Sighting] = []
    notes: list[str] = []
    for one in entities:
        name = _name(one)
        if any(other.name == name for other in seen):
            notes.append(f"{name}: several entities; the first is used")
            continue
        needs = dict.fromkeys(_needs(one, names, notes))
        if name in catalog:
            seen.append(_known(one, name, catalog, tuple(needs), titles, notes))
        else:
            seen.append(_new(one, name, tuple(needs), titles))
    absent = [name for name in catalog if name not in {one.name for one in seen}]
    if absent:
        notes.append(f"in services.yaml but not in the file: {', '.join(absent)}")
    return Sightings(tuple(seen), tuple(notes))


def _known(
    one: Mapping[str, Any],
    name: str,
    catalog: Catalog,
    needs: tuple[str, ...],
    titles: Mapping[str, str],
    notes: list[str],
) -> Sighting:
    service = catalog[name]
    called = {call.to for call in service.calls}
    fresh = tuple(to for to in needs if to not in called and to not in (service.runs_on, name))
    unsaid = [to for to in called if to not in needs]
    if unsaid and mapping(one, "spec").get("dependsOn") is not None:
        notes.append(f"{name}: calls {', '.join(sorted(unsaid))}, which Backstage does not know; kept")
    return Sighting(name, _owner(one, titles), f"Backstage {_reference(one)}", fresh)


def _new(one: Mapping[str, Any], name: str, needs: tuple[str, ...], titles: Mapping[str, str]) -> Sighting:
    kind = str(mapping(one, "spec").get("type", "")).lower()
    tier = str(mapping(one, "metadata", "annotations").get("capacity/tier", "core"))
    values: dict[str, str | int | bool] = {"tier": tier if tier in _TIERS else "core"}
    values |= _owner(one, titles)
    if kind in _OTHERS:
        values["third_party"] = True
    elif kind in _STORES:
        values["scalable"] = False
    return Sighting(name, values, f"Backstage {_reference(one)}", tuple(to for to in needs if to != name))


def _owner(one: Mapping[str, Any], titles: Mapping[str, str]) -> dict[str, str | int | bool]:
    given = mapping(one, "spec").get("owner")
    if not isinstance(given, str):
        return {}
    short = given.rpartition("/")[2].rpartition(":")[2]
    owner = titles.get(_full(given, "group")) or short
    return {} if short in _UNKNOWN else {"owner": owner}


def _needs(one: Mapping[str, Any], names: Mapping[str, str], notes: list[str]) -> Iterator[str]:
    given = mapping(one, "spec").get("dependsOn")
    for reference in given if isinstance(given, list) else ():
        if not isinstance(reference, str):
            continue
        found = names.get(_full(reference, "component"))
        if found is None:
            notes.append(f"{_name(one)}: depends on {reference}, which is neither in the file nor in services.yaml")
        else:
            yield found


def _full(reference: str, kind: str) -> str:
    """Complete a reference as Backstage does: a kind by the context, the namespace ``default``."""
    head, _, rest = reference.rpartition(":")
    space, _, name = rest.rpartition("/")
    return f"{(head or kind).lower()}:{(space or 'default').lower()}/{name.lower()}"


def _reference(one: Mapping[str, Any]) -> str:
    meta = mapping(one, "metadata")
    return _full(f"{one.get('kind')}:{meta.get('namespace', 'default')}/{meta.get('name')}", "component")


def _name(one: Mapping[str, Any]) -> str:
    given = mapping(one, "metadata", "annotations").get("capacity/service")
    return given if isinstance(given, str) and given.strip() else str(mapping(one, "metadata")["name"])
