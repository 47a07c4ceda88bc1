"""A load test as a k6 script."""

from __future__ import annotations

from collections.abc import Sequence

from capacity.export.loadtest import fill_template, plan_document
from capacity.staircase import Downstream, Staircase


def k6_script(test: Staircase, *, limits: Sequence[Downstream] = ()) -> str:
    """Return a test as a k6 script that stops by itself and writes its own results.

    Its header says how to run it and how to read it back. Each step is a scenario of its own with a constant arrival
    rate, tagged with its name; thresholds that abort are its stop rules.

    Parameters
    ----------
    test
        Steps and stop rules.
    limits
        Downstreams whose stated limit it must not pass, unless told that they are mocked.

    Examples
    --------
    >>> text = k6_script(Staircase("</script>", 1, 10.0, (5.0, 10.0), (60.0, 60.0), (), ()))
    >>> "</script>" in text, "constant-arrival-rate" in text
    (False, True)
    """
    return fill_template("loadtest.js.txt", plan_document(test, limits=limits))
