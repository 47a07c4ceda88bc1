"""What every result can do: a short repr, an HTML table, a frame, and quantiles of its samples."""

from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from capacity.display.tables import to_html

if TYPE_CHECKING:
    import pandas as pd

QUANTILES: tuple[float, ...] = (0.05, 0.5, 0.95, 0.99)


class Result(ABC):
    """Base of the frozen dataclasses that the program's verbs return.

    A subclass writes `summary` (one line for people) and `to_frame`; repr and notebook display follow.
    Results hold arrays and are compared by identity, never element by element.

    Attributes
    ----------
    units
        Unit of a column of `to_frame`, for the table's header.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> import pandas as pd
    >>> @dataclass(frozen=True)
    ... class Count(Result):
    ...     n: int
    ...     def summary(self) -> str:
    ...         return f"{self.n} orders"
    ...     def to_frame(self) -> pd.DataFrame:
    ...         return pd.DataFrame({"n": [self.n]})
    >>> Count(3)
    <Count: 3 orders>
    """

    units: ClassVar[dict[str, str]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # A dataclass would write its own: a repr that prints arrays, an == that fails on them.
        for name in ("__repr__", "__eq__", "__hash__"):
            if cls.__dict__.get(name) is None:
                setattr(cls, name, getattr(Result, name))

    @abstractmethod
    def summary(self) -> str:
        """Say the result in one line."""

    @abstractmethod
    def to_frame(self) -> "pd.DataFrame":
        """Return the result as a tidy frame."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.summary()}>"

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def _repr_html_(self) -> str:
        return to_html(self.to_frame(), units=self.units, caption=self.summary(), max_rows=50)


def quantile_name(probability: float) -> str:
    """Name a quantile's column: ``q05``, ``q50``, ``q97_5``.

    Examples
    --------
    >>> quantile_name(0.05), quantile_name(0.5), quantile_name(0.975), quantile_name(0.99)
    ('q05', 'q50', 'q97_5', 'q99')
    """
    whole, _, rest = f"{round(100 * probability, 6):.6f}".partition(".")
    rest = rest.rstrip("0")
    return f"q{int(whole):02d}" + (f"_{rest}" if rest else "")


def quantiles(samples: ArrayLike, probabilities: Sequence[float] = QUANTILES, *, axis: int = 0) -> NDArray[np.float64]:
    """Quantiles of samples; the quantile becomes the first axis.

    A series with an unknown sample has unknown quantiles: futures are never dropped silently.

    Parameters
    ----------
    samples
        Any shape; `axis` runs over the samples.
    probabilities
        Between 0 and 1.
    axis
        The sample axis.

    Returns
    -------
    ndarray
        Shape ``(len(probabilities), …the other axes…)``.

    Examples
    --------
    >>> quantiles([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]], [0.5])
    array([[ 2., 20.]])
    """
    values = np.asarray(samples, dtype=float)
    if values.shape[axis] == 0:
        raise ValueError("samples: got none along the sample axis, expected at least one")
    return np.asarray(np.quantile(values, list(probabilities), axis=axis))


def quantile_frame(
    samples: ArrayLike,
    probabilities: Sequence[float] = QUANTILES,
    *,
    index: "Sequence[Hashable] | pd.Index[Any] | None" = None,
    axis: int = 0,
) -> "pd.DataFrame":
    """Quantiles of samples as a frame, one row a series, columns ``q05 q50 q95 q99``.

    Parameters
    ----------
    samples
        Shape ``(samples, series)``, or ``(samples,)`` for one series.
    probabilities
        Between 0 and 1.
    index
        Names of the series.
    axis
        The sample axis.

    Returns
    -------
    DataFrame
        One row a series.

    Examples
    --------
    >>> quantile_frame([[1.0, 10.0], [3.0, 30.0]], [0.5], index=["a", "b"])
        q50
    a   2.0
    b  20.0
    """
    import pandas as pd

    table = quantiles(samples, probabilities, axis=axis)
    table = table.reshape(len(table), -1)
    return pd.DataFrame(
        table.T, index=None if index is None else pd.Index(index), columns=[quantile_name(p) for p in probabilities]
    )
