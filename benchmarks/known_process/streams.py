"""Random streams that are a company's own up to the planning day, and fresh from there on."""

from typing import Any

import numpy as np


class Spliced:
    """A generator whose arrays over days are `own` before a day and `fresh` from it on; all else is `own`.

    Parameters
    ----------
    own, fresh
        Generators; `own` at the state in which the company's code starts to draw.
    days
        Length of the arrays that run over days.
    known_days
        How many of them have passed.

    Examples
    --------
    >>> own, fresh = np.random.default_rng(1), np.random.default_rng(2)
    >>> spliced = Spliced(own, fresh, days=5, known_days=3)
    >>> again = np.random.default_rng(1).normal(size=5)
    >>> (spliced.normal(size=5) == again).tolist()
    [True, True, True, False, False]
    """

    def __init__(self, own: np.random.Generator, fresh: np.random.Generator, *, days: int, known_days: int) -> None:
        self.own, self.fresh, self.days, self.known_days = own, fresh, days, known_days

    def __getattr__(self, name: str) -> Any:
        """Draw by the method of that name."""

        def draw(*args: Any, **kwargs: Any) -> Any:
            values = getattr(self.own, name)(*args, **kwargs)
            if not isinstance(values, np.ndarray) or len(values) != self.days:
                return values
            beyond = getattr(self.fresh, name)(*args, **kwargs)
            values[self.known_days :] = beyond[self.known_days :]
            return values

        return draw
