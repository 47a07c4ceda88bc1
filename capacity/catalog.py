"""The service catalogue and its call graph, as written in ``data/services.yaml``."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from capacity.assumptions import catalog_assumptions
from capacity.contract import Fault
from capacity.document import check_document
from capacity.errors import InputError, Problem, did_you_mean
from capacity.promotion import Promotion
from capacity.service import Call, Degrade, Entry, HotKey, Service, Slo, Tier

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Call", "Catalog", "Degrade", "Entry", "HotKey", "Service", "Slo", "Tier", "find_cycles", "parse_services"]

_WHERE = "data/services.yaml"
_MOST_CYCLES = 20


class Catalog(Mapping[str, Service]):
    """All services by name, in the order of the file; the call graph has no cycle.

    Parameters
    ----------
    services
        In order.
    where
        The file's name in messages.
    notes
        Assumptions made on the way here, beside those of the services.

    Raises
    ------
    InputError
        When services contradict each other: names twice, unknown callees, cycles.

    Examples
    --------
    >>> catalog = Catalog([Service(name="shop", tier="core", calls=[Call(to="db")]), Service(name="db", tier="core")])
    >>> catalog.entries, catalog.core
    (('shop',), ('shop', 'db'))
    >>> catalog["shpo"]
    Traceback (most recent call last):
    capacity.errors.InputError: no service 'shpo' in data/services.yaml
    Next: did you mean 'shop'?
    """

    def __init__(self, services: Iterable[Service] = (), *, where: str = _WHERE, notes: Sequence[str] = ()) -> None:
        listed = tuple(services)
        faults = list(_between([_stated(place, service) for place, service in enumerate(listed)]))
        if faults:
            problems = [Problem(_place(listed, f.path), f.got, f.expected, f.remedy) for f in faults]
            raise InputError(f"{where}: services contradict each other", problems=problems)
        self._services = {service.name: service for service in listed}
        self._where = where
        self._notes = tuple(notes)

    @classmethod
    def from_services(cls, services: Iterable[Service]) -> "Catalog":
        """Build a catalogue in Python."""
        return cls(services)

    def __getitem__(self, name: str) -> Service:
        if name in self._services:
            return self._services[name]
        remedy = did_you_mean(str(name), self._services) or f"{len(self)} services are listed there"
        raise InputError(f"no service {name!r} in {self._where}", remedy=remedy)

    def __contains__(self, name: object) -> bool:
        return name in self._services

    def __iter__(self) -> Iterator[str]:
        return iter(self._services)

    def __len__(self) -> int:
        return len(self._services)

    def __repr__(self) -> str:
        edges = sum(len(service.calls) for service in self.values())
        return f"<Catalog: {len(self)} services, {len(self.core)} core, {edges} calls>"

    @property
    def names(self) -> tuple[str, ...]:
        """All names, in the order of the file; the order of every array over services."""
        return tuple(self._services)

    @property
    def core(self) -> tuple[str, ...]:
        """Names of the core services."""
        return self._of_tier("core")

    @property
    def non_core(self) -> tuple[str, ...]:
        """Names of the non-core services."""
        return self._of_tier("non_core")

    @property
    def degradable(self) -> tuple[str, ...]:
        """Names of the degradable services."""
        return self._of_tier("degradable")

    @property
    def entries(self) -> tuple[str, ...]:
        """Services with traffic from outside: given as such, or unknown and called by nobody."""
        called = {call.to for service in self.values() for call in service.calls}
        return tuple(
            name
            for name, service in self.items()
            if (name not in called if service.entry is None else not service.entry.is_none)
        )

    @property
    def unknown_entries(self) -> tuple[str, ...]:
        """Services of which it is not written whether traffic comes from outside."""
        return tuple(name for name, service in self.items() if service.entry is None and not service.third_party)

    @property
    def pools(self) -> tuple[str, ...]:
        """Services with instances of their own that a plan can count."""
        return tuple(name for name, service in self.items() if service.has_pool)

    def pool_of(self, name: str) -> str:
        """Return the service whose instances serve `name`: what it runs on, or itself."""
        return self[name].runs_on or name

    def callers_of(self, name: str) -> tuple[str, ...]:
        """Return the services that call `name` directly, in the order of the file."""
        target = self[name].name
        return tuple(caller for caller, service in self.items() if any(c.to == target for c in service.calls))

    def for_promotion(self, promotion: Promotion) -> "Catalog":
        """Return the catalogue with the third parties' terms of one promotion as their `max_qps`."""
        terms = {term.name: term.sla_qps for term in promotion.third_parties if term.sla_qps is not None}
        unknown = [name for name in (t.name for t in promotion.third_parties) if name not in self]
        if unknown:
            problems = [
                Problem(f"{promotion.id}.third_parties", repr(n), f"a service of {self._where}", did_you_mean(n, self))
                for n in unknown
            ]
            raise InputError(f"{promotion.id} names third parties that are no services", problems=problems)
        return self._with({name: {"max_qps": qps} for name, qps in terms.items()})

    def with_calls(self, frame: "pd.DataFrame") -> "Catalog":
        """Return the catalogue with measured calls for the services that list none.

        Parameters
        ----------
        frame
            Columns ``caller``, ``callee`` and ``per_request`` (mean calls per request to the caller,
            without retries). Calls that are written in the file win over measured ones.

        Returns
        -------
        Catalog
            Its assumptions say what was filled in and what was left out.
        """
        absent = {"caller", "callee", "per_request"} - set(frame.columns)
        if absent:
            problem = Problem("calls", f"no column {', '.join(sorted(absent))}", "caller, callee, per_request")
            raise InputError("measured calls lack columns", problems=[problem])
        calls: dict[str, list[Call]] = {}
        strange: list[str] = []
        for caller, callee, rate in zip(frame["caller"], frame["callee"], frame["per_request"], strict=True):
            if caller not in self or callee not in self:
                strange.append(f"{caller} → {callee}")
            elif not self[caller].calls and caller != callee:
                calls.setdefault(caller, []).append(Call(to=callee, per_request=float(rate)))
        notes = list(self._notes)
        if calls:
            notes.append(f"calls of {_some(list(calls))} are measured means, with no retries known")
        if strange:
            notes.append(f"measured calls of services outside the catalogue are left out: {_some(strange)}")
        filled = self._with({name: {"calls": tuple(found)} for name, found in calls.items()})
        return Catalog(filled.values(), where=self._where, notes=notes)

    def assumptions(self) -> tuple[str, ...]:
        """Say every default that is in use, with its effect on a plan; services sharing one are grouped."""
        return (*catalog_assumptions(tuple(self.values())), *self._notes)

    def _of_tier(self, tier: str) -> tuple[str, ...]:
        return tuple(name for name, service in self.items() if service.tier == tier)

    def _with(self, changes: Mapping[str, Mapping[str, Any]]) -> "Catalog":
        services = [s.model_copy(update=dict(changes[name])) if name in changes else s for name, s in self.items()]
        return Catalog(services, where=self._where, notes=self._notes)


def parse_services(text: str, *, where: str = _WHERE) -> Catalog:
    """Read ``data/services.yaml``.

    Parameters
    ----------
    text
        The file's content: a list of services.
    where
        The file's name in messages.

    Returns
    -------
    Catalog
        Checked, without cycles.

    Raises
    ------
    InputError
        With every problem of the file.

    Examples
    --------
    >>> parse_services("[{name: shop, tier: core, calls: [{to: db}]}, {name: db, tier: core}]")
    <Catalog: 2 services, 2 core, 1 calls>
    """
    found = check_document(text, model=list[Service], where=where, checks=_check_file)
    return Catalog(found, where=where)


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
        graph = {
            name: [callee for callee in callees if callee not in cycle]
            for name, callees in core.items()
            if name not in cycle
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


def _stated(place: int, service: Service) -> _Written:
    calls = tuple((number, call.to) for number, call in enumerate(service.calls))
    return _Written(place, service.name, calls, service.runs_on)


def _check_file(_sound: Mapping[int, Service], raw: Sequence[Any]) -> Iterator[Fault]:
    return _between([found for place, item in enumerate(raw) if (found := _written(place, item)) is not None])


def _between(services: Sequence[_Written]) -> Iterator[Fault]:
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


def _place(services: Sequence[Service], path: Sequence[str | int]) -> str:
    rest = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path[1:])
    return f"{services[int(path[0])].name}{rest}"


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
