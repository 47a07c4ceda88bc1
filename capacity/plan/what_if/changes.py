"""What is changed in a what-if, and how it is written."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from capacity.display.numbers import format_number
from capacity.errors import InputError, Problem, did_you_mean
from capacity.settings import Risk, WhatIf

if TYPE_CHECKING:
    from capacity.catalog import Catalog

OF_A_SERVICE = ("instances", "zones", "limit_qps", "max_qps", "max_instances")
_COUNTS = ("instances", "zones", "max_instances")
_OFF = "off."


@dataclass(frozen=True)
class Changes:
    """A what-if, checked.

    Attributes
    ----------
    demand : float
        Factor on all people and orders.
    risk : Risk
    given : dict
        As they were written.
    services : dict of str to dict
        Keys of the catalogue that change, by service: ``instances``, ``zones``, ``max_qps``, ``max_instances``.
    limit_qps : dict of str to float
        Cluster limits set by hand.
    off : tuple of str
        Features that are switched off.
    """

    demand: float
    risk: Risk
    given: Mapping[str, float]
    services: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    limit_qps: Mapping[str, float] = field(default_factory=dict)
    off: tuple[str, ...] = ()

    def __str__(self) -> str:
        return ", ".join(f"{name} = {format_number(value)}" for name, value in self.given.items()) or "no change"


def check_changes(given: Mapping[str, float], *, services: "Catalog", risk: Risk) -> Changes:
    """Check what-ifs by name.

    Parameters
    ----------
    given
        ``demand`` multiplies the forecast; the names of the risk settings replace them; ``SERVICE.instances``,
        ``.zones``, ``.limit_qps``, ``.max_qps`` (of what does not scale) and ``.max_instances`` (quota) change one
        service; ``off.FEATURE`` = 1 switches a feature off.
    services
        The plan's catalogue.
    risk
        The plan's.

    Raises
    ------
    InputError
        With every unknown name and impossible value.

    Examples
    --------
    >>> from capacity.catalog import Catalog, Service
    >>> shop = Catalog([Service(name="shop", tier="core")])
    >>> check_changes({"demand": 1.2, "shop.instances": 30}, services=shop, risk=Risk()).services
    {'shop': {'instances': 30}}
    >>> check_changes({"shpo.instances": 30}, services=shop, risk=Risk())
    Traceback (most recent call last):
    capacity.errors.InputError: what-if has a problem
      - what-if shpo.instances: got no service 'shpo', expected a service of the plan; did you mean 'shop'?
    """
    features = tuple(
        dict.fromkeys(
            call.degrade.feature
            for service in services.values()
            for call in service.calls
            if call.degrade is not None and not call.is_required
        )
    )
    whole = {name: value for name, value in given.items() if "." not in name}
    parts = {name: value for name, value in given.items() if "." in name}
    problems = list(_problems(parts, services, features))
    if problems:
        raise InputError(f"what-if has {'a problem' if len(problems) == 1 else 'problems'}", problems=problems)
    checked = WhatIf.of(risk, whole)
    changed: dict[str, dict[str, float]] = {}
    limits: dict[str, float] = {}
    for name, value in parts.items():
        service, _, key = name.rpartition(".")
        if name.startswith(_OFF):
            continue
        if key == "limit_qps":
            limits[service] = float(value)
        else:
            host = services.pool_of(service) if key in _COUNTS else service
            changed.setdefault(host, {})[key] = int(value) if key in _COUNTS else float(value)
    off = tuple(n.removeprefix(_OFF) for n, value in parts.items() if n.startswith(_OFF) and value)
    return Changes(checked.demand, checked.risk, dict(given), changed, limits, off)


def _problems(parts: Mapping[str, float], services: "Catalog", features: Sequence[str]) -> Iterator[Problem]:
    for name, value in parts.items():
        where, (service, _, key) = f"what-if {name}", name.rpartition(".")
        if name.startswith(_OFF):
            feature = name.removeprefix(_OFF)
            if feature not in features:
                known = ", ".join(features) or "none can be switched off"
                yield Problem(where, f"no feature {feature!r}", f"one of: {known}", did_you_mean(feature, features))
            elif value not in {0, 1}:
                yield Problem(where, format_number(value), "1 for off, 0 for on")
        elif service not in services:
            yield Problem(where, f"no service {service!r}", "a service of the plan", did_you_mean(service, services))
        elif key not in OF_A_SERVICE:
            yield Problem(where, repr(key), f"one of {', '.join(OF_A_SERVICE)}", did_you_mean(key, OF_A_SERVICE))
        else:
            yield from _of_a_value(where, key, float(value), services, service)


def _of_a_value(where: str, key: str, value: float, services: "Catalog", service: str) -> Iterator[Problem]:
    if not (np.isfinite(value) and value > 0):
        yield Problem(where, format_number(value), "a number above 0")
    elif key in _COUNTS and value != int(value):
        yield Problem(where, f"{value:g}", "a whole number")
    elif key in ("instances", "max_instances") and services[services.pool_of(service)].is_fixed:
        yield Problem(where, f"{value:g}", "a service that instances scale", f"{service}.max_qps says what it takes")
