"""Whether the services that ``operations.yaml`` names are there: a freeze would silently leave out a mistyped one."""

from collections.abc import Collection, Iterator

from capacity.document import parse_yaml
from capacity.errors import Problem, did_you_mean
from capacity.operations.book import Operations


def find_unknown(operations: Operations, text: str, *, services: Collection[str], where: str) -> tuple[Problem, ...]:
    """Return where a file names services that are none.

    Parameters
    ----------
    operations, text
        The file, as read and as written.
    services
        Names of the catalogue.
    where
        The file's name in messages.

    Examples
    --------
    >>> from capacity.operations.book import parse_operations
    >>> text = "freeze: {services: [chekout]}"
    >>> book = parse_operations(text, timezone="UTC")
    >>> problem = find_unknown(book, text, services=["checkout"], where="operations.yaml")[0]
    >>> problem.where, problem.remedy
    ('operations.yaml:1 freeze.services[0]', "did you mean 'checkout'?")
    """
    document = parse_yaml(text, where=where)
    return tuple(
        Problem(
            f"{where}:{document.line_of(path)} {_shown(path)}",
            repr(name),
            "a service of data/services.yaml",
            did_you_mean(name, services),
        )
        for path, name in _named(operations)
        if name not in services
    )


def _named(operations: Operations) -> Iterator[tuple[tuple[str | int, ...], str]]:
    for place, name in enumerate(operations.freeze.services):
        yield ("freeze", "services", place), name
    for place, drill in enumerate(operations.drills):
        if drill.service:
            yield ("drills", place, "service"), drill.service
    for place, party in enumerate(operations.third_parties):
        yield ("third_parties", place, "name"), party.name


def _shown(path: tuple[str | int, ...]) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")
