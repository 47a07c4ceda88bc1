"""Fixtures that several parts' tests share."""

import shutil
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import settings

from tests.real_programs import RAN

# A property is true or not; how long an example takes depends on who else uses the machine.
settings.register_profile("house", deadline=None)
settings.load_profile("house")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real data with known truth, beside the repository; a user's checkout has none."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("real data folder ../shared/data is absent")
    return folder


@pytest.fixture(scope="session")
def sample_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with the sample company; to be read, never written."""
    from capacity.demo import make_company
    from capacity.workspace import create_workspace

    folder = tmp_path_factory.mktemp("sample") / "shop"
    create_workspace(folder, sample=make_company(0))
    return folder


@pytest.fixture
def sample_copy(sample_dir: Path, tmp_path: Path) -> Path:
    """A copy of the sample company's workspace, to be written to."""
    return Path(shutil.copytree(sample_dir, tmp_path / "shop"))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """Remember with each test which real programs it ran, also those of fixtures that it was the first to use."""
    if call.when == "call":
        item.user_properties += [("real_program", name) for name in sorted(set(RAN))]
        RAN.clear()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what really ran of the programs that exported files and pages are meant for, and what did not, and why."""
    ran: Counter[str] = Counter()
    for report in terminalreporter.stats.get("passed", []):
        ran.update(value for name, value in report.user_properties if name == "real_program")
    missing: Counter[str] = Counter()
    for report in terminalreporter.stats.get("skipped", []):
        reason = str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr)
        if "is not installed" in reason:
            missing[reason.removeprefix("Skipped: ")] += 1
    if ran or missing:
        terminalreporter.section("real programs")
        for name, count in sorted(ran.items()):
            terminalreporter.write_line(f"{name:<22} ran in {count} tests")
        for reason, count in sorted(missing.items()):
            terminalreporter.write_line(f"{reason}: {count} tests skipped")
