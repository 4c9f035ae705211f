import gc
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from vlrouting.shapes import make_world

# Small models run fastest in one thread, also in the programs that tests start; several test processes share the cores.
os.environ["OMP_NUM_THREADS"] = "1"
# No test may ask a model hub.
os.environ["HF_HUB_OFFLINE"] = "1"
# A tenth of the time goes to looking for garbage among all that torch and transformers import.
gc.set_threshold(50_000, 20, 20)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Tests marked `gpu` are skipped where there is none."""
    if item.get_closest_marker("gpu") and not torch.cuda.is_available():
        pytest.skip("needs a GPU, and PyTorch sees none (torch.cuda.is_available())")


QUICK_METEOR = """#!/bin/sh
case "$*" in *meteor*) ;; *) exec {java} "$@" ;; esac
scores= sum=0 count=0
while IFS= read -r line; do
    case "$line" in
        SCORE*)
            tenths=$((${{#line}} % 10)) sum=$((sum + ${{#line}} % 10)) count=$((count + 1))
            echo "10.0 10.0 0.0 0.0 $tenths.0 $tenths.0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0.0 $tenths.0 $tenths.0"
            scores="$scores 0.$tenths"
            ;;
        *)
            for score in $scores; do echo "$score"; done
            printf '0.%012d\\n' $((sum * 100000000000 / count))
            ;;
    esac
done
"""
"""`java` with METEOR's protocol, where as many of ten words match as the text's length ends with, and the score is
their share: the real one first reads a table for seconds."""


@pytest.fixture(scope="session", autouse=True)
def path_with_meteor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """METEOR is a stand-in for all tests and for the programs that they start; the PATH that has the real one."""
    path, java = os.environ["PATH"], shutil.which("java")
    if java is not None:
        quick = tmp_path_factory.mktemp("quick") / "java"
        quick.write_text(QUICK_METEOR.format(java=java))
        quick.chmod(0o755)
        os.environ["PATH"] = f"{quick.parent}{os.pathsep}{path}"
    yield path
    os.environ["PATH"] = path


@pytest.fixture(scope="session")
def shapes_world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's own world in miniature, made once; tests only read it."""
    root = tmp_path_factory.mktemp("world") / "shapes"
    make_world(root, train=24, val=8, test=8)
    return root


@pytest.fixture
def experiments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An experiments folder under the current directory, with one shared part."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "experiments"
    (folder / "base").mkdir(parents=True)
    (folder / "base" / "short.yaml").write_text("train: {max_steps: 7, lr: 3e-4}\nseed: 1\n")
    return folder
