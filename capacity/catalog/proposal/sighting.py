"""What one system says of one service, and the objects that say it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from capacity.errors import InputError, Problem

_MOST_OBJECTS = 100_000


@dataclass(frozen=True)
class Sighting:
    """What one system says of one service.

    Attributes
    ----------
    name
        The service.
    says
        Keys of ``services.yaml`` with what they would hold.
    calls
        Services that it is said to need.
    why
        Which object says so.
    """

    name: str
    says: Mapping[str, str | int | bool]
    why: str
    calls: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sightings:
    """What a file says of services, and what in it could not be used.

    Attributes
    ----------
    seen
        In the order of the file.
    notes
        What a person should know or decide.
    """

    seen: tuple[Sighting, ...]
    notes: tuple[str, ...] = field(default=())


def read_objects(text: str, *, where: str) -> tuple[Mapping[str, Any], ...]:
    r"""Read objects with a ``kind``: YAML documents, JSON, or the items of a ``List``.

    Raises
    ------
    InputError
        If the text is neither, or holds no object with a kind.

    Examples
    --------
    >>> text = "{kind: List, items: [{kind: Deployment}]}\n---\n{kind: Group}"
    >>> [one["kind"] for one in read_objects(text, where="a.yaml")]
    ['Deployment', 'Group']
    """
    try:
        documents = list(_documents(text))
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        line = getattr(getattr(error, "problem_mark", None), "line", None)
        place = where if line is None else f"{where}:{line + 1}"
        problem = Problem(place, str(getattr(error, "problem", None) or "text"), "YAML or JSON")
        raise InputError(f"{where} cannot be read", problems=[problem]) from None
    objects = [one for document in documents for one in _items(document)][:_MOST_OBJECTS]
    if not objects:
        problem = Problem(
            where, "no object with a kind", "objects such as `kubectl get … -o yaml` or catalog-info.yaml"
        )
        raise InputError(f"{where} says nothing of services", problems=[problem])
    return tuple(objects)


def _documents(text: str) -> Iterator[Any]:
    # kubectl's JSON of a large cluster takes YAML's parser minutes.
    if text.lstrip()[:1] in ("{", "["):
        try:
            yield json.loads(text)
        except ValueError:
            pass
        else:
            return
    yield from yaml.load_all(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def _items(document: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(document, list):
        yield from (one for one in document if isinstance(one, dict) and one.get("kind"))
    elif isinstance(document, dict) and isinstance(document.get("items"), list):
        yield from (one for one in document["items"] if isinstance(one, dict) and one.get("kind"))
    elif isinstance(document, dict) and document.get("kind"):
        yield document


def mapping(value: Any, *keys: str) -> Mapping[str, Any]:
    """Return the mapping at a path of keys, empty where something else stands: the file is another system's."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}
