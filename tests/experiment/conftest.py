from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def experiments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An experiments folder under the current directory, with one shared part."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "experiments"
    (folder / "base").mkdir(parents=True)
    (folder / "base" / "short.yaml").write_text("train: {max_steps: 7, lr: 3e-4}\nseed: 1\n")
    return folder
