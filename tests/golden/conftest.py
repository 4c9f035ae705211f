from pathlib import Path

import pytest

from tests.golden.experiments import write_experiments


@pytest.fixture(scope="session")
def golden_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The YAML of every task; tests only read it and what lies beside it."""
    return write_experiments(tmp_path_factory.mktemp("golden"))
