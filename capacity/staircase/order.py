"""In which order services are tested: what is called before what calls it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from capacity.catalog import Catalog

_TIERS = {"core": 0, "non_core": 1, "degradable": 2}


def dependency_levels(calls: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Return a level for each service: 0 calls nobody, every other stands above all that it calls.

    Services that call each other in a circle share a level; none of them can be tested before the others.

    Parameters
    ----------
    calls
        Callees of each service; callees that are no key are left out.

    Examples
    --------
    >>> dependency_levels({"shop": ["cart", "db"], "cart": ["db"], "db": []})
    {'shop': 2, 'cart': 1, 'db': 0}
    >>> dependency_levels({"a": ["b"], "b": ["a", "db"], "db": [], "top": ["a"]})
    {'a': 1, 'b': 1, 'db': 0, 'top': 2}
    """
    place = {name: number for number, name in enumerate(calls)}
    edges = np.array(
        [(place[name], place[callee]) for name, callees in calls.items() for callee in callees if callee in place],
        dtype=np.intp,
    ).reshape(-1, 2)
    matrix = sparse.csr_array((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape=(len(place), len(place)))
    circles, circle_of = csgraph.connected_components(matrix, directed=True, connection="strong")
    caller, callee = circle_of[edges[:, 0]], circle_of[edges[:, 1]]
    between = caller != callee
    level = np.zeros(circles, dtype=np.intp)
    # Without circles every round settles one more layer; there are never more layers than circles.
    for _ in range(circles):
        raised = level.copy()
        np.maximum.at(raised, caller[between], level[callee[between]] + 1)
        if (raised == level).all():
            break
        level = raised
    return {name: int(level[circle_of[number]]) for name, number in place.items()}


def callees_first(services: Catalog, names: Sequence[str]) -> list[tuple[str, int]]:
    """Return services with their levels: callees first, core ones first within a level, then as in the file."""
    level = dependency_levels({name: [c.to for c in one.calls] for name, one in services.items()})
    place = {name: number for number, name in enumerate(services.names)}
    ordered = sorted(names, key=lambda name: (level[name], _TIERS[services[name].tier], place[name]))
    return [(name, level[name]) for name in ordered]
