"""Files from strangers: nothing in them runs, and no message says how to make it run. Each attack writes a file."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.command_line import REPOSITORY, Done, vlrouting
from tests.trained_artifacts import copy_with, picture, questions  # noqa: F401
from vlrouting import Predictor
from vlrouting.backbones.language import load_language_model
from vlrouting.backbones.location import BackboneError
from vlrouting.backbones.vision import load_vision_encoder
from vlrouting.config import LanguageConfig, VisionConfig
from vlrouting.experiment import UserError, import_plugins, load


class Attack:
    """A pickle of this runs a command when it is read."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch '{self.marker}'",)


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    """What an attack writes; it is not there at the end of a test."""
    return tmp_path / "attacked"


@pytest.fixture(autouse=True)
def unchanged_imports(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    sys.modules.pop("stranger", None)


def write_plugin(folder: Path, marker: Path) -> None:
    (folder / "stranger.py").write_text(f"open({str(marker)!r}, 'w').close()\n")


def refused(done: Done) -> str:
    assert done.returncode == 2 and "Traceback" not in done.stderr, done.stderr
    for advice in ("weights_only", "trust_remote_code=True", "Do you wish to run"):
        assert advice not in done.stderr
    return done.stderr


def test_plugins_of_an_artifact_run_only_if_the_user_says_so(questions: Path, tmp_path: Path, marker: Path) -> None:  # noqa: F811
    artifact = questions / "runs" / "tiny" / "routing=mul" / "artifact"
    attack = copy_with(artifact, tmp_path / "artifact", plugins=["stranger"])
    write_plugin(attack, marker)
    write_plugin(tmp_path, marker)
    arguments = ("predict", attack, picture(questions), "what?")
    said = refused(vlrouting(*arguments, cwd=tmp_path))
    assert "'stranger'" in said and "--trust-plugins" in said and str(attack) in said
    with pytest.raises(UserError, match="trust_plugins=True"):
        Predictor(attack)
    assert not marker.exists()
    trusted = vlrouting(*arguments, "--trust-plugins", cwd=tmp_path)
    assert trusted.returncode == 0 and marker.exists()  # so it was the refusal that kept it from running


def test_a_module_beside_the_artifact_is_not_found(questions: Path, tmp_path: Path, marker: Path) -> None:  # noqa: F811
    artifact = questions / "runs" / "tiny" / "routing=mul" / "artifact"
    attack = copy_with(artifact, tmp_path / "artifact", plugins=["stranger"])
    write_plugin(attack, marker)
    said = refused(vlrouting("predict", attack, picture(questions), "what?", "--trust-plugins", cwd=tmp_path))
    assert "'stranger' cannot be imported" in said and not marker.exists()


def test_the_configuration_of_a_run_directory(questions: Path, tmp_path: Path, marker: Path) -> None:  # noqa: F811
    run = tmp_path / "run"
    shutil.copytree(questions / "runs" / "tiny" / "routing=mul", run)
    text = (run / "config.yaml").read_text()
    assert "plugins: []" in text
    (run / "config.yaml").write_text(text.replace("plugins: []", "plugins: [stranger]").replace(": mul", ": strange"))
    write_plugin(tmp_path, marker)
    for command in ("validate", "train"):
        said = refused(vlrouting(command, run / "config.yaml", cwd=tmp_path))
        assert "'stranger'" in said and "experiments/" in said and str(run) in said
    assert not marker.exists()
    shutil.copy(run / "config.yaml", tmp_path / "mine.yaml")
    vlrouting("validate", tmp_path / "mine.yaml", cwd=tmp_path)
    assert marker.exists()
    with pytest.raises(UserError, match="trust_plugins"):
        load(str(run / "config.yaml"))


def test_a_pickle_in_place_of_the_tensors(questions: Path, tmp_path: Path, marker: Path) -> None:  # noqa: F811
    attack = copy_with(questions / "runs" / "tiny" / "routing=mul" / "artifact", tmp_path / "artifact")
    file = attack / "adapter_model.safetensors"
    torch.save({"head.weight": Attack(marker)}, file)
    stored = json.loads((attack / "adapter_config.json").read_text())
    stored.pop("tensors_sha256", None)  # who writes the tensors writes their checksum too
    (attack / "adapter_config.json").write_text(json.dumps(stored))
    assert str(attack) in refused(vlrouting("predict", attack, picture(questions), "what?"))
    assert not marker.exists()


def test_a_pickle_in_place_of_a_checkpoint(questions: Path, tmp_path: Path, marker: Path) -> None:  # noqa: F811
    run = tmp_path / "runs" / "tiny" / "routing=mul"
    shutil.copytree(questions / "runs" / "tiny" / "routing=mul", run)
    (run / "metrics.json").unlink()  # not complete, so it is resumed
    torch.save({"state_dict": Attack(marker)}, run / "checkpoints" / "last.ckpt")
    done = vlrouting("train", questions / "tiny.yaml", "-p", "routing=mul", "--runs", run.parents[1])
    assert "last.ckpt is corrupt" in refused(done) and "safetensors" not in done.stderr
    assert not marker.exists()


def language_folder(questions: Path, to: Path) -> Path:  # noqa: F811
    shutil.copytree(questions / "roberta", to)
    return to


def test_a_language_model_in_a_pickle_or_with_code(questions: Path, tmp_path: Path, marker: Path) -> None:  # noqa: F811
    pickled = language_folder(questions, tmp_path / "pickled")
    (pickled / "model.safetensors").unlink()
    torch.save({"embeddings": Attack(marker)}, pickled / "pytorch_model.bin")
    with_code = language_folder(questions, tmp_path / "with_code")
    config = json.loads((with_code / "config.json").read_text())
    code = {"auto_map": {"AutoConfig": "code.C", "AutoModel": "code.M"}, "model_type": "strange"}
    (with_code / "config.json").write_text(json.dumps({**config, **code}))
    (with_code / "code.py").write_text(f"open({str(marker)!r}, 'w').close()\nclass C: pass\nclass M: pass\n")
    for folder in (pickled, with_code):
        with pytest.raises(BackboneError, match=str(folder)) as told:
            load_language_model(LanguageConfig(name=str(folder)))
        assert "weights_only" not in str(told.value) and "trust_remote_code" not in str(told.value)
    assert not marker.exists()


def test_a_vision_encoder_in_a_pickle(tmp_path: Path, marker: Path) -> None:
    torch.save({"patch_embed": Attack(marker)}, tmp_path / "weights.pth")
    (tmp_path / "config.json").write_text('{"architecture": "vit_tiny_patch16_224", "num_classes": 0}')
    torch.save({"patch_embed": Attack(marker)}, tmp_path / "pytorch_model.bin")
    file = VisionConfig(name="vit_tiny_patch16_224", weights=str(tmp_path / "weights.pth"))
    for config in (file, VisionConfig(name=str(tmp_path))):
        with pytest.raises(BackboneError, match="safetensors") as told:
            load_vision_encoder(config)
        assert "weights_only" not in str(told.value)
    assert not marker.exists()


def test_files_in_the_current_folder_take_the_place_of_no_library(tmp_path: Path, marker: Path) -> None:
    for name in ("yaml", "torch", "PIL", "transformers", "numpy"):
        (tmp_path / f"{name}.py").write_text(f"open({str(marker)!r}, 'w').close()\n")
    code = f"import sys; sys.path[:] = [{str(REPOSITORY)!r}, *(path for path in sys.path[1:])]; "
    code += "from vlrouting.cli import main; main()"
    command = [sys.executable, "-c", code, "predict", "artifact", "a.png", "b?"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2 and not marker.exists()


def test_the_current_folder_is_looked_up_last_and_only_for_plugins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, marker: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path not in ("", str(tmp_path))])
    import_plugins([])
    assert str(tmp_path) not in sys.path
    write_plugin(tmp_path, marker)
    import_plugins(["stranger"])
    assert marker.exists() and sys.path[-1] == str(tmp_path)
    (tmp_path / "tabnanny.py").write_text("raise SystemExit")  # a module of Python's that is not imported yet
    with pytest.raises(UserError, match=r"'tabnanny'.*rename it"):
        import_plugins(["tabnanny"])
