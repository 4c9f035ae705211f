import shutil
from pathlib import Path

import pytest

from tests.tiny_experiment import write_experiment


@pytest.fixture(scope="session")
def valid_experiment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A valid experiment, made once; `tiny` copies it."""
    folder = tmp_path_factory.mktemp("valid")
    write_experiment(folder)
    return folder


@pytest.fixture
def tiny(valid_experiment: Path, tmp_path: Path) -> Path:
    """A folder with a valid experiment of its own, to plant a fault in."""
    folder = tmp_path / "tiny"
    shutil.copytree(valid_experiment, folder)
    file = folder / "tiny.yaml"
    file.write_text(file.read_text().replace(str(valid_experiment), str(folder)))
    return folder
