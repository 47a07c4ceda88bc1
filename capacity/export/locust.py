"""A load test as a Locust file."""

from __future__ import annotations

from collections.abc import Sequence

from capacity.export.loadtest import fill_template, plan_document
from capacity.staircase import Downstream, Staircase


def locust_file(test: Staircase, *, limits: Sequence[Downstream] = ()) -> str:
    """Return a test as a Locust file that stops by itself and writes its own results.

    Its header says how to run it and how to read it back. Rates are offered in an open model: a Poisson process whose
    requests do not wait for answers, so that a slow service is asked as much as a fast one.

    Parameters
    ----------
    test
        Steps and stop rules.
    limits
        Downstreams whose stated limit it must not pass, unless told that they are mocked.

    Examples
    --------
    >>> test = Staircase("a'b", 1, 10.0, (5.0, 10.0), (60.0, 60.0), (), ())
    >>> text = locust_file(test)
    >>> "a'b" in text, "class Staircase(LoadTestShape)" in text
    (False, True)
    """
    return fill_template("locustfile.py.txt", plan_document(test, limits=limits))
