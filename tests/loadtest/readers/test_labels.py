"""Names are counted, and no more of them kept than a run can mean."""

import numpy as np

from capacity.loadtest.readers.labels import OTHERS, Names, Spans


def test_more_names_than_can_be_told_apart() -> None:
    names = Names()
    for block in range(3):
        words = [f"/item/{block}/{i}" for i in range(5_000)]
        names.add(np.arange(5_000), words)
    names.add(np.zeros(7, np.int64), ["/item/0/0"])
    assert len(names.counts) == 10_001
    assert names.counts[OTHERS] == 5_000
    assert names.counts["/item/0/0"] == 8


def test_more_names_than_steps_can_be() -> None:
    spans = Spans()
    for i in range(2_000):
        spans.add(str(i), 10.0 + i, 11.0 + i, 1)
    assert spans.found() == []
    assert spans.begins_s == 10.0
