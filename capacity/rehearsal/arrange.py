"""Renumber a world's services so that each level is a slice, and its calls so that each caller's are together."""

import itertools
from dataclasses import dataclass, replace

import numpy as np

from capacity.plan.network import Network
from capacity.plan.sizing import Ints
from capacity.rehearsal.world import Guards, Rung, World

_OF_SERVICES = ("cluster_qps", "cluster_burst", "instance_qps", "instance_burst", "key_qps", "key_share", "frail")
_OF_EDGES = ("edge_qps", "edge_burst", "budget_qps")


@dataclass(frozen=True)
class Arranged:
    """A world in the order in which it is played.

    Attributes
    ----------
    world : World
        Renumbered; its levels are consecutive.
    order, edge_order : ndarray
        Old numbers in the new order.
    bounds, edge_bounds : ndarray (level + 1,)
        Level k is the services, and its calls the edges, from its bound to the next.
    """

    world: World
    order: Ints
    edge_order: Ints
    bounds: Ints
    edge_bounds: Ints


def arrange(world: World) -> Arranged:
    """Renumber a world; contiguous levels make every step of the simulator an operation on views."""
    network = world.network
    order = np.concatenate(world.levels).astype(np.int64)
    place = np.empty(network.size, dtype=np.int64)
    place[order] = np.arange(network.size)
    edges = np.lexsort((place[network.callee], place[network.caller]))
    edge_place = np.empty(len(edges), dtype=np.int64)
    edge_place[edges] = np.arange(len(edges))
    bounds = np.cumsum([0, *(len(level) for level in world.levels)])
    caller = place[network.caller[edges]]
    moved = replace(
        world,
        network=_network(network, edges, place),
        levels=tuple(np.arange(a, b) for a, b in itertools.pairwise(bounds)),
        unit_qps=world.unit_qps[:, order],
        fixed_qps=world.fixed_qps[order],
        key_roof_qps=world.key_roof_qps[order],
        pool=world.pool[order],
        entries=place[world.entries],
        guards=_guards(world.guards, order, edges),
        timeout_s=world.timeout_s[order],
        max_delay_s=world.max_delay_s[order],
        core=world.core[order],
        rungs=tuple(_rung(rung, place, edge_place) for rung in world.rungs),
    )
    return Arranged(moved, order, edges, bounds, np.searchsorted(caller, bounds))


def _network(network: Network, edges: Ints, place: Ints) -> Network:
    return Network(
        size=network.size,
        caller=place[network.caller[edges]],
        callee=place[network.callee[edges]],
        calls=network.calls[edges],
        cold_calls=network.cold_calls[edges],
        retries=network.retries[edges],
        binding=network.binding[edges],
        queued=network.queued[edges],
    )


def _guards(guards: Guards, order: Ints, edges: Ints) -> Guards:
    moved = {name: getattr(guards, name)[order] for name in _OF_SERVICES}
    moved |= {name: getattr(guards, name)[edges] for name in _OF_EDGES}
    return replace(guards, **moved)


def _rung(rung: Rung, place: Ints, edge_place: Ints) -> Rung:
    return replace(rung, edges=edge_place[rung.edges], watch=int(place[rung.watch]))
