import os
from pathlib import Path

import pytest

from vlrouting.shapes import make_world

# Small models run fastest in one thread, also in the programs that tests start; several test processes share the cores.
os.environ["OMP_NUM_THREADS"] = "1"
# No test may ask a model hub.
os.environ["HF_HUB_OFFLINE"] = "1"


@pytest.fixture(scope="session")
def shapes_world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's own world in miniature, made once; tests only read it."""
    root = tmp_path_factory.mktemp("world") / "shapes"
    make_world(root, train=24, val=8, test=8)
    return root
