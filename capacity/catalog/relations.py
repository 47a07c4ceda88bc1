"""What is wrong between services: names twice, unknown callees, cycles, hosts that are guests."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from capacity.catalog.service import Service
from capacity.document.contract import Fault
from capacity.errors import did_you_mean

_MOST_CYCLES = 20


def find_cycles(calls: Mapping[str, Iterable[str]]) -> list[tuple[str, ...]]:
    """Find cycles of calls that share no service, at most twenty.

    Parameters
    ----------
    calls
        Callees by caller.

    Returns
    -------
    list of tuple of str
        Each begins and ends with the same service; empty when there is no cycle.

    Examples
    --------
    >>> find_cycles({"a": ["b"], "b": ["c"], "c": ["a"], "d": ["a"]})
    [('a', 'b', 'c', 'a')]
    """
    graph = {name: [callee for callee in callees if callee in calls] for name, callees in calls.items()}
    found: list[tuple[str, ...]] = []
    while len(found) < _MOST_CYCLES and (core := _peel(graph)):
        cycle = _walk(core)
        found.append(cycle)
        broken = set(cycle)
        graph = {
            name: [callee for callee in callees if callee not in broken]
            for name, callees in core.items()
            if name not in broken
        }
    return found


def _peel(graph: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Take away services that call nobody left; what stays has a way into a cycle."""
    callers: dict[str, list[str]] = {name: [] for name in graph}
    left = {}
    for name, callees in graph.items():
        left[name] = len(callees)
        for callee in callees:
            callers[callee].append(name)
    ends = [name for name, count in left.items() if count == 0]
    while ends:
        name = ends.pop()
        del left[name]
        for caller in callers[name]:
            left[caller] -= 1
            if left[caller] == 0:
                ends.append(caller)
    return {name: [callee for callee in graph[name] if callee in left] for name in graph if name in left}


def _walk(core: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    name = next(iter(core))
    seen: dict[str, int] = {}
    while name not in seen:
        seen[name] = len(seen)
        name = core[name][0]
    cycle = list(seen)[seen[name] :]
    first = cycle.index(min(cycle))
    turned = cycle[first:] + cycle[:first]
    return (*turned, turned[0])


class _Written(NamedTuple):
    """What the file says of one service's relations, even where other keys of it are faulty."""

    place: int
    name: str
    calls: tuple[tuple[int, str], ...]
    runs_on: str | None


def _written(place: int, item: Any) -> _Written | None:
    if not isinstance(item, dict) or not isinstance(item.get("name"), str):
        return None
    listed = item.get("calls")
    calls = [
        (number, call["to"])
        for number, call in enumerate(listed if isinstance(listed, list) else ())
        if isinstance(call, dict) and isinstance(call.get("to"), str)
    ]
    host = item.get("runs_on")
    return _Written(place, item["name"], tuple(calls), host if isinstance(host, str) else None)


def stated(place: int, service: Service) -> _Written:
    """Return a service's relations."""
    calls = tuple((number, call.to) for number, call in enumerate(service.calls))
    return _Written(place, service.name, calls, service.runs_on)


def check_file(_sound: Mapping[int, Service], raw: Sequence[Any]) -> Iterator[Fault]:
    """Yield what is wrong between the items of a file, those that are faulty by themselves included."""
    return faults_between([found for place, item in enumerate(raw) if (found := _written(place, item)) is not None])


def faults_between(services: Sequence[_Written]) -> Iterator[Fault]:
    """Yield what is wrong between services."""
    first: dict[str, _Written] = {}
    for service in services:
        if service.name in first:
            remedy = f"item {first[service.name].place + 1} has it already"
            yield Fault((service.place, "name"), repr(service.name), "a name of its own", remedy)
        first.setdefault(service.name, service)
    suggest = _Suggestions(list(first))
    for service in services:
        for number, callee in service.calls:
            if callee not in first:
                path = (service.place, "calls", number, "to")
                yield Fault(path, repr(callee), "a service of this file", suggest(callee))
        yield from _host_faults(service, first, suggest)
    for cycle in find_cycles({name: [callee for _, callee in s.calls] for name, s in first.items()}):
        caller = first[cycle[0]]
        number = next(number for number, callee in caller.calls if callee == cycle[1])
        remedy = "leave out the call that answers instead of asks"
        path = (caller.place, "calls", number, "to")
        yield Fault(path, f"the cycle {' → '.join(cycle)}", "calls without a cycle", remedy)


def _host_faults(service: _Written, known: Mapping[str, _Written], suggest: "_Suggestions") -> Iterator[Fault]:
    host = service.runs_on
    if host is None or host == service.name:
        return
    path = (service.place, "runs_on")
    if host not in known:
        yield Fault(path, repr(host), "a service of this file", suggest(host))
    elif (chained := known[host].runs_on) is not None:
        expected = "a service with instances of its own"
        yield Fault(path, f"{host!r}, which runs on {chained!r}", expected, f"name {chained!r}")


class _Suggestions:
    """The first few "did you mean"; each is a search over all names, which thousands would not repay."""

    def __init__(self, known: Sequence[str], most: int = 20) -> None:
        self._known, self._left = known, most

    def __call__(self, name: str) -> str:
        self._left -= 1
        return did_you_mean(name, self._known) if self._left >= 0 else ""
