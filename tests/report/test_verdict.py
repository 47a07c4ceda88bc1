"""A verdict is text: escaped, a line a sentence, the same for programs."""

from capacity.report import record
from capacity.report.verdict import METRICS_MIME


def test_a_verdict_is_escaped_line_by_line_and_kept_whole_for_programs():
    shown = record("Peak of <checkout>.\nHeld.", [{"name": "x", "value": None, "unit": "orders/s"}])._repr_mimebundle_()
    assert shown["text/html"] == '<p class="verdict">Peak of &lt;checkout&gt;.<br>Held.</p>'
    assert shown[METRICS_MIME]["verdict"] == "Peak of <checkout>.\nHeld."
    assert shown[METRICS_MIME]["metrics"] == [{"name": "x", "value": None, "unit": "orders/s"}]
