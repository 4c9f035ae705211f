import shutil
from pathlib import Path

import pytest

from tests.tiny_experiment import write_experiment


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sound experiment, made once; `tiny` copies it."""
    folder = tmp_path_factory.mktemp("sound")
    write_experiment(folder)
    return folder


@pytest.fixture
def tiny(sound: Path, tmp_path: Path) -> Path:
    """A folder with a sound experiment of its own, to plant a fault in."""
    folder = tmp_path / "tiny"
    shutil.copytree(sound, folder)
    file = folder / "tiny.yaml"
    file.write_text(file.read_text().replace(str(sound), str(folder)))
    return folder
