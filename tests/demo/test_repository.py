"""The repository's own root is the sample company's workspace; what is kept of it is what the process makes."""

from pathlib import Path

from capacity.demo import make_company

ROOT = Path(__file__).resolve().parents[2]


def test_the_sample_in_the_repository_is_what_the_process_makes():
    texts = {name: text for name, text in make_company(0).texts.items() if not name.startswith("truth/")}
    differing = [name for name, text in texts.items() if (ROOT / name).read_bytes() != text.encode()]
    assert differing == [], "run `make sample` after a change of the process, and look at what changed"
