"""No saturation at all."""

from __future__ import annotations

import numpy as np

from capacity.saturation.families.family import Array, Family, slope


class Linear(Family):
    """X(N) = γN: nothing is shared and nothing is full, which no real service keeps up for long.

    Parameters
    ----------
    gamma
        Throughput per unit of load, requests/s.

    References
    ----------
    .. [1] N. J. Gunther, "Guerrilla Capacity Planning", 2007, chapter 4: the ideal that the others fall short of.

    Examples
    --------
    >>> import numpy as np
    >>> Linear().predict(np.array([[20.0]]), np.array([[1.0, 5.0]])).tolist()
    [[20.0, 100.0]]
    """

    name = "linear"
    parameters = ("gamma",)
    low = (0.0,)
    scale_power = (1,)

    def predict(self, parameters: Array, load: Array) -> Array:
        """See `Family.predict`."""
        return parameters[:, :1] * load

    def slopes(self, parameters: Array, load: Array, at: Array) -> Array:  # noqa: ARG002
        """See `Family.slopes`."""
        return load[None]

    def starts(self, load: Array, throughput: Array) -> Array:
        """See `Family.starts`."""
        return slope(load, throughput)[:, None, None]

    def peak(self, parameters: Array) -> tuple[Array, Array]:
        """See `Family.peak`."""
        none = np.full(len(parameters), np.inf)
        return none, none.copy()
