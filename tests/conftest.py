"""Fixtures that several parts' tests share."""

import shutil
from pathlib import Path

import pytest
from hypothesis import settings

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
