"""The service catalogue and its call graph, as written in ``data/services.yaml``."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from capacity.catalog.assumptions import catalog_assumptions
from capacity.catalog.relations import check_file, faults_between, stated
from capacity.catalog.service import Call, Service
from capacity.document import check_document
from capacity.errors import InputError, Problem, did_you_mean
from capacity.promotion import Promotion

if TYPE_CHECKING:
    import pandas as pd

_WHERE = "data/services.yaml"


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
        faults = list(faults_between([stated(place, service) for place, service in enumerate(listed)]))
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
        return self.changed({name: {"max_qps": qps} for name, qps in terms.items()})

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
        unknown: list[str] = []
        for caller, callee, rate in zip(frame["caller"], frame["callee"], frame["per_request"], strict=True):
            if caller not in self or callee not in self:
                strange.append(f"{caller} → {callee}")
            elif rate != rate:  # NaN: calls without the caller's traffic of the same time
                unknown += [] if self[caller].calls else [f"{caller} → {callee}"]
            elif not self[caller].calls and caller != callee:
                calls.setdefault(caller, []).append(Call(to=callee, per_request=float(rate)))
        notes = list(self._notes)
        if calls:
            notes.append(f"calls of {_some(list(calls))} are measured means, with no retries known")
        if strange:
            notes.append(f"measured calls of services outside the catalogue are left out: {_some(strange)}")
        if unknown:
            notes.append(f"measured calls whose caller has no traffic in the same time are left out: {_some(unknown)}")
        filled = self.changed({name: {"calls": tuple(found)} for name, found in calls.items()})
        return Catalog(filled.values(), where=self._where, notes=notes)

    def to_frame(self) -> "pd.DataFrame":
        """Return one row a service: who owns it, how it runs today, what it calls; unknown is missing."""
        import pandas as pd

        rows = [
            {
                "service": name,
                "tier": service.tier,
                "owner": service.owner,
                "instances": service.instances,
                "zones": service.zones,
                "max_qps": service.max_qps,
                "critical_paths": ", ".join(service.critical_paths),
                "calls": ", ".join(call.to for call in service.calls),
            }
            for name, service in self.items()
        ]
        columns = ["service", "tier", "owner", "instances", "zones", "max_qps", "critical_paths", "calls"]
        return pd.DataFrame(rows, columns=columns)

    def assumptions(self) -> tuple[str, ...]:
        """Say every default that is in use, with its effect on a plan; services sharing one are grouped."""
        return (*catalog_assumptions(tuple(self.values())), *self._notes)

    def _of_tier(self, tier: str) -> tuple[str, ...]:
        return tuple(name for name, service in self.items() if service.tier == tier)

    def changed(self, changes: Mapping[str, Mapping[str, Any]]) -> "Catalog":
        """Return the catalogue with other values of some services' keys, by service and key; they are not checked."""
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
    found = check_document(text, model=list[Service], where=where, checks=check_file)
    return Catalog(found, where=where)


def _place(services: Sequence[Service], path: Sequence[str | int]) -> str:
    rest = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path[1:])
    return f"{services[int(path[0])].name}{rest}"


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
