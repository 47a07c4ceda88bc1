"""The points a curve is fitted to, checked and sorted."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from capacity.errors import InputError, Problem
from capacity.saturation.long_form import LARGEST

Array = NDArray[np.float64]


def checked_points(load: ArrayLike, throughput: ArrayLike) -> tuple[Array, Array]:
    """Take loads and throughputs as arrays (n,), sorted by load, and tell every problem at once."""
    arrays: dict[str, Array] = {}
    problems: list[Problem] = []
    for name, given in (("load", load), ("throughput", throughput)):
        try:
            values = np.asarray(given, dtype=float)
        except (TypeError, ValueError) as error:
            problems.append(Problem(name, str(error), "numbers"))
            continue
        arrays[name] = values
        if values.ndim != 1 or values.size == 0:
            problems.append(Problem(name, f"shape {values.shape}", "one or more numbers in a row"))
        elif not np.isfinite(values).all():
            where = int(np.flatnonzero(~np.isfinite(values))[0])
            problems.append(Problem(f"{name}[{where}]", str(values[where]), "a finite number", "leave the step out"))
        elif (values < 0).any() or (values > LARGEST).any():
            where = int(np.flatnonzero((values < 0) | (values > LARGEST))[0])
            problems.append(Problem(f"{name}[{where}]", f"{values[where]:g}", f"between 0 and {LARGEST:g}"))
        elif name == "load" and (values == 0).any():
            problems.append(Problem("load", "0", "above 0", "leave out steps without load"))
    if not problems and arrays["load"].shape != arrays["throughput"].shape:
        problems.append(
            Problem("throughput", f"{arrays['throughput'].size} values", f"{arrays['load'].size}, one for each load")
        )
    if not problems and not arrays["throughput"].any():
        problems.append(Problem("throughput", "0 everywhere", "some requests served"))
    if problems:
        raise InputError("no curve can be fitted", problems=problems)
    order = np.argsort(arrays["load"], kind="stable")
    return arrays["load"][order], arrays["throughput"][order]
