"""Flows through the call graph: rates, reach, attempts, and the retry fixed point."""

from capacity.graph.edges import Edges, call_edges, call_matrix, downstream, find_cycle, upstream
from capacity.graph.flows import is_acyclic, reach_matrix, total_rates
from capacity.graph.retries import (
    RetryEquilibrium,
    attempts,
    loss_failure,
    retry_fixed_point,
    timeout_failure,
)

__all__ = [
    "Edges",
    "RetryEquilibrium",
    "attempts",
    "call_edges",
    "call_matrix",
    "downstream",
    "find_cycle",
    "is_acyclic",
    "loss_failure",
    "reach_matrix",
    "retry_fixed_point",
    "timeout_failure",
    "total_rates",
    "upstream",
]
