"""The few seconds of a promotion at which some service's load is largest: all that a replay needs."""

import base64
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from capacity.demo.graph import Floats, flow, keep_wobble, without_features
from capacity.demo.services import DEGRADES, ENTRIES, INDEX, NAMES
from capacity.demo.simulate import Window

SCENARIOS: tuple[tuple[str, ...], ...] = tuple(
    features for size in range(len(DEGRADES) + 1) for features in combinations(sorted(DEGRADES), size)
)


@dataclass(frozen=True)
class Seconds:
    """Arrivals at the entries and each service's wobble in the seconds that matter.

    Parameters
    ----------
    at_s
        The seconds, counted from the promotion's start.
    phase
        Position of each second's phase in `phases`.
    phases
        Names of the phases.
    external
        Requests from outside, shape (seconds, entries).
    wobble
        What arrived from inside over its mean, shape (seconds, services); 1 where nothing calls.
    matrix
        Arrivals at j per request to i.
    """

    at_s: NDArray[np.int32]
    phase: NDArray[np.int8]
    phases: tuple[str, ...]
    external: NDArray[np.float32]
    wobble: NDArray[np.float32]
    matrix: NDArray[np.float64]

    def offered(self, features: Sequence[str] = ()) -> dict[str, Floats]:
        """Give the requests arriving at every service in these seconds, before any limit, with these features off."""
        external = {name: self.external[:, k] for k, name in enumerate(ENTRIES)}
        wobble = {name: self.wobble[:, INDEX[name]] for name in NAMES}
        return flow(external, without_features(self.matrix, features), arrivals=keep_wobble(wobble))

    def to_document(self) -> dict[str, Any]:
        """As values that JSON can hold."""
        arrays: dict[str, NDArray[Any]] = {
            "at_s": self.at_s,
            "phase": self.phase,
            "external": self.external,
            "wobble": self.wobble,
        }
        return {
            "phases": list(self.phases),
            "matrix": self.matrix.tolist(),
            **{name: _packed(values) for name, values in arrays.items()},
        }

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> "Seconds":
        """Read what `to_document` gave."""
        return cls(
            at_s=_unpacked(document["at_s"]),
            phase=_unpacked(document["phase"]),
            phases=tuple(document["phases"]),
            external=_unpacked(document["external"]),
            wobble=_unpacked(document["wobble"]),
            matrix=np.asarray(document["matrix"], dtype=np.float64),
        )


def pick_seconds(window: Window, *, most: int) -> Seconds:
    """Take the `most` busiest seconds of every service and phase, under every choice of degraded features.

    So the largest second of any service under any such choice is among them exactly.
    """
    phases = window.event.phases()
    parts = [window.part(phase) for phase in phases]
    chosen: set[int] = set()
    for features in SCENARIOS:
        offered = window.degraded(features) if features else window.offered
        for name in _touched(window, features):
            for part in parts:
                chosen.update(_busiest(offered[name], part, most))
    rows = np.array(sorted(chosen))
    at = rows + window.starts_s - window.event.starts_s
    starts = np.array([phase.starts_s - window.event.starts_s for phase in phases])
    ones = np.ones(len(rows), np.float32)
    return Seconds(
        at_s=at.astype(np.int32),
        phase=(np.searchsorted(starts, at, side="right") - 1).astype(np.int8),
        phases=tuple(phase.name for phase in phases),
        external=np.stack([window.external[name][rows] for name in ENTRIES], axis=1),
        wobble=np.stack([window.wobble[name][rows] if name in window.wobble else ones for name in NAMES], axis=1),
        matrix=window.matrix,
    )


def _touched(window: Window, features: tuple[str, ...]) -> set[str]:
    """Services whose load the choice of features changes: all when none is off."""
    if not features:
        return set(NAMES)
    reached = {INDEX[DEGRADES[feature][1]] for feature in features}
    while True:
        callees = {int(k) for service in reached for k in np.nonzero(window.matrix[service])[0]}
        if callees <= reached:
            return {NAMES[k] for k in reached}
        reached |= callees


def _busiest(values: Floats, part: slice, most: int) -> list[int]:
    """Positions of the largest values of a part; a few passes of argmax beat a partition."""
    left = values[part].copy()
    found = []
    for _ in range(min(most, len(left))):
        at = int(left.argmax())
        found.append(at + part.start)
        left[at] = -1
    return found


def _packed(values: NDArray[Any]) -> dict[str, Any]:
    raw = np.ascontiguousarray(values.T if values.ndim == 2 else values)
    little = raw.astype(raw.dtype.newbyteorder("<"))
    text = base64.b85encode(zlib.compress(little.tobytes(), 9)).decode("ascii")
    return {"dtype": values.dtype.str.replace(">", "<"), "shape": list(values.shape), "base85": text}


def _unpacked(packed: dict[str, Any]) -> NDArray[Any]:
    shape = packed["shape"]
    flat = np.frombuffer(zlib.decompress(base64.b85decode(packed["base85"])), dtype=packed["dtype"])
    values = flat.reshape(shape[::-1]).T if len(shape) == 2 else flat.reshape(shape)
    return np.ascontiguousarray(values)
