"""The run directory: whole files, one owner, one configuration."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import yaml

from vlrouting.config import ExperimentConfig, TrainConfig
from vlrouting.experiment import RunDirectory, UserError, environment, to_yaml, write_json_atomic, write_text_atomic
from vlrouting.experiment.provenance import code_version
from vlrouting.experiment.rundir import RESULT_NEUTRAL
from vlrouting.experiment.schema import all_keys

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    """A run directory that is not there yet."""
    return RunDirectory(tmp_path / "runs" / "x" / "routing=add")


def finish(run: RunDirectory) -> None:
    """What a complete run leaves."""
    write_json_atomic(run.metrics, {"test/vqa_accuracy": 50.0})
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        write_text_atomic(run.artifact / name, "{}")
    run.update_run(status="complete")


def files(run: RunDirectory) -> list[str]:
    return sorted(path.name for path in run.path.iterdir())


def test_places(run: RunDirectory) -> None:
    places = (run.config, run.run_json, run.metrics, run.predictions, run.artifact, run.last, run.best, run.tensorboard)
    assert [path.relative_to(run.path).as_posix() for path in places] == [
        "config.yaml",
        "run.json",
        "metrics.json",
        "predictions.jsonl",
        "artifact",
        "checkpoints/last.ckpt",
        "checkpoints/best.ckpt",
        "tensorboard",
    ]


def test_life_of_a_run(run: RunDirectory) -> None:
    assert (run.status(), run.is_complete(), run.read_run(), run.read_metrics()) == (None, False, {}, {})
    text = to_yaml(ExperimentConfig())
    with run.lock():
        run.prepare(text)
        assert run.config.read_text() == text
        run.update_run(status="running", seed=3)
        run.update_run(device="cpu")
        assert run.read_run() == {"status": "running", "seed": 3, "device": "cpu"}
        assert not run.is_complete()
        finish(run)
    assert run.status() == "complete" and run.is_complete()
    assert run.read_metrics() == {"test/vqa_accuracy": 50.0}


@pytest.mark.parametrize("status", ["running", "failed", "cancelled", None])
def test_complete_is_what_run_json_says(run: RunDirectory, status: str | None) -> None:
    finish(run)
    run.update_run(status=status)
    assert not run.is_complete()


@pytest.mark.parametrize("metrics", ["{}", '{"test/vqa_accuracy": 61', "", "[61.2]", '{"test/vqa_accuracy": true}'])
def test_metrics_that_say_nothing_are_not_complete(run: RunDirectory, metrics: str) -> None:
    finish(run)
    run.metrics.write_text(metrics)
    assert not run.is_complete()


@pytest.mark.parametrize("gone", ["metrics.json", "artifact/adapter_config.json", "artifact/adapter_model.safetensors"])
def test_complete_needs_everything(run: RunDirectory, gone: str) -> None:
    finish(run)
    assert run.is_complete()
    (run.path / gone).unlink()
    assert not run.is_complete()


def test_damaged_files_count_as_not_complete(run: RunDirectory, caplog: pytest.LogCaptureFixture) -> None:
    finish(run)
    run.metrics.write_text('{"test/vqa_accuracy": "high"}')
    with pytest.raises(UserError, match=r"metrics.json is damaged: 'test/vqa_accuracy': expected a number, got 'high'"):
        run.read_metrics()
    assert not run.is_complete()
    run.run_json.write_text('{"status": "comple')
    assert run.status() == "unreadable" and not run.is_complete()
    assert "run.json is damaged" in caplog.text and "not complete" in caplog.text
    with pytest.raises(UserError, match=r"run\.json is damaged"):
        run.read_run()
    run.update_run(status="running")
    assert run.read_run() == {"status": "running"}
    run.run_json.write_text("[]")
    assert run.status() == "unreadable"


def test_other_settings_are_refused(run: RunDirectory) -> None:
    run.prepare(to_yaml(ExperimentConfig()))
    other = ExperimentConfig(seed=7, train=TrainConfig(lr=0.5, workers=3))
    with pytest.raises(UserError) as caught:
        run.prepare(to_yaml(other))
    assert str(caught.value).split("\n") == [
        f"{run.path} holds a run with other settings (old → new):",
        "  seed: 42 → 7",
        "  train.lr: 0.0003 → 0.5",
        f"Name another point or experiment, or remove the old run: rm -r '{run.path}'",
    ]
    assert yaml.safe_load(run.config.read_text())["seed"] == 42


def test_settings_are_compared_as_values(run: RunDirectory) -> None:
    run.prepare(to_yaml(ExperimentConfig(train=TrainConfig(epochs=3, lr=3e-4))))
    tree = yaml.safe_load(run.config.read_text())
    run.config.write_text(yaml.safe_dump({**tree, "later": {"key": True}}, sort_keys=True))
    with pytest.raises(UserError) as caught:
        run.prepare(to_yaml(ExperimentConfig(train=TrainConfig(max_steps=3, lr=3e-4))))
    assert str(caught.value).split("\n")[1:-1] == [
        "  train.epochs: 3 → null",
        "  train.max_steps: null → 3",
        "  later.key: true → (absent)",
    ]


def changed(key: str) -> ExperimentConfig:
    """The defaults with one key set to something else."""
    config = ExperimentConfig()
    section, name = key.split(".")
    old = getattr(getattr(config, section), name)
    new = not old if isinstance(old, bool) else old + 1 if isinstance(old, int) else "elsewhere"
    return replace(config, **{section: replace(getattr(config, section), **{name: new})})


@pytest.mark.parametrize("key", sorted(key for key in RESULT_NEUTRAL if not key.startswith("tuned")))
def test_keys_without_influence_may_change(run: RunDirectory, key: str) -> None:
    assert key in all_keys()
    run.prepare(to_yaml(ExperimentConfig()))
    run.prepare(to_yaml(changed(key)))
    assert yaml.safe_load(run.config.read_text()) == asdict(changed(key))
    finish(run)
    run.prepare(to_yaml(ExperimentConfig()))  # a complete run keeps the record of what it was run with
    assert yaml.safe_load(run.config.read_text()) == asdict(changed(key))


def test_key_that_is_newer_than_the_run(run: RunDirectory) -> None:
    older = asdict(ExperimentConfig())
    del older["train"]["eps"]
    run.path.mkdir(parents=True)
    run.config.write_text(yaml.safe_dump(older))
    run.prepare(to_yaml(ExperimentConfig()))
    run.config.write_text(yaml.safe_dump(older))
    with pytest.raises(UserError, match=r"train.eps: 1e-06 → 0.1"):
        run.prepare(to_yaml(ExperimentConfig(train=TrainConfig(eps=0.1))))


@pytest.mark.parametrize("text", ["train: [", "", "- 1"])
def test_damaged_configuration_is_refused(run: RunDirectory, text: str) -> None:
    run.path.mkdir(parents=True)
    run.config.write_text(text)
    with pytest.raises(UserError, match=r"config.yaml is damaged.*rm -r"):
        run.prepare(to_yaml(ExperimentConfig()))


def test_what_a_killed_process_left_is_swept(run: RunDirectory) -> None:
    run.path.mkdir(parents=True)
    (run.path / "run.json.1-abcd.tmp").write_text("half")
    (run.path / "checkpoints").mkdir()
    (run.path / "checkpoints" / "last.ckpt.1-abcd.tmp").write_text("half")
    (run.path / "artifact.tmp").mkdir()
    (run.path / "artifact.tmp" / "file").write_text("half")
    (run.path / "artifact.tmp" / "inner.tmp").write_text("half")
    (run.path / "artifact.tmp" / "folder.tmp").mkdir()
    (run.path / "keep.txt").write_text("mine")
    run.prepare(to_yaml(ExperimentConfig()))
    assert files(run) == ["checkpoints", "config.yaml", "keep.txt"]
    assert not any((run.path / "checkpoints").iterdir())


def test_a_crash_while_writing_keeps_the_old_file(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    run.update_run(status="running")

    def crash(source: Path, target: Path) -> None:
        assert json.loads(Path(source).read_text())["status"] == "complete"  # the new file was whole before
        assert Path(source).parent == Path(target).parent
        raise OSError("power cut")

    monkeypatch.setattr(os, "replace", crash)
    with pytest.raises(OSError, match="power cut"):
        run.update_run(status="complete")
    monkeypatch.undo()
    assert run.read_run() == {"status": "running"}
    assert files(run) == ["run.json"]
    with pytest.raises(TypeError):
        run.update_run(status=object())
    assert run.read_run() == {"status": "running"}


def test_a_full_disk_keeps_the_old_file(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    run.update_run(status="running")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        run.update_run(status="complete")
    assert run.read_run() == {"status": "running"}
    assert files(run) == ["run.json"]


DIE = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {root!r})
from vlrouting.experiment import RunDirectory
os.fsync = lambda descriptor: os.kill(os.getpid(), signal.SIGKILL)
RunDirectory(Path({path!r})).update_run(status="complete")
"""


def test_a_kill_while_writing_keeps_the_old_file(run: RunDirectory) -> None:
    run.update_run(status="running")
    done = subprocess.run([sys.executable, "-c", DIE.format(root=str(ROOT), path=str(run.path))], check=False)
    assert done.returncode == -signal.SIGKILL
    assert run.read_run() == {"status": "running"}
    assert len(files(run)) == 2  # the unfinished file has a name of its own
    run.prepare(to_yaml(ExperimentConfig()))
    assert files(run) == ["config.yaml", "run.json"]


def test_files_are_readable_as_the_user_wants(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_text("x")
    write_text_atomic(tmp_path / "atomic", "ü\n")
    assert (tmp_path / "atomic").read_bytes() == b"\xc3\xbc\n"
    assert (tmp_path / "atomic").stat().st_mode == plain.stat().st_mode


HOLD = """
import sys
from pathlib import Path
sys.path.insert(0, {root!r})
from vlrouting.experiment import RunDirectory
with RunDirectory(Path({path!r})).lock():
    print("held", flush=True)
    sys.stdin.read()
"""


def test_one_process_at_a_time(run: RunDirectory) -> None:
    code = HOLD.format(root=str(ROOT), path=str(run.path))
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(UserError, match=rf"routing=add is in use by process {other.pid} on \S+\. Wait"), run.lock():
            pass
        other.kill()  # the lock goes with the process, what it wrote about itself stays
        other.wait()
    assert (run.path / ".lock.json").exists()
    with run.lock():
        assert json.loads((run.path / ".lock.json").read_text())["pid"] == os.getpid()
    assert not (run.path / ".lock.json").exists()


def test_lock_is_freed_after_an_error_and_holds_within_a_process(run: RunDirectory) -> None:
    with pytest.raises(ValueError, match="mine"), run.lock():
        with pytest.raises(UserError, match=f"process {os.getpid()}"), RunDirectory(run.path).lock():
            pass
        raise ValueError("mine")
    with run.lock():
        pass


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=n", "-c", "user.email=e@x"]
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_provenance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    outside = environment()
    assert (outside["git_commit"], outside["git_dirty"]) == (None, None)
    git(tmp_path, "init", "-q")
    (tmp_path / "file").write_text("1")
    git(tmp_path, "add", "file")
    git(tmp_path, "commit", "-q", "-m", "m")
    (tmp_path / "not_tracked").write_text("1")
    clean = environment()
    assert (clean["git_commit"], clean["git_dirty"]) == (git(tmp_path, "rev-parse", "HEAD"), False)
    (tmp_path / "file").write_text("2")
    assert environment()["git_dirty"] is True
    packages = clean["packages"]
    assert isinstance(packages, dict)
    assert set(packages) == {"vlrouting", "torch", "lightning", "transformers", "timm", "torchmetrics"}
    assert clean["python"] == sys.version.split()[0]
    assert clean["code_version"] == outside["code_version"] == code_version()
    json.dumps(clean)
    monkeypatch.setenv("PATH", "")
    assert environment()["git_commit"] is None


def test_the_code_version_is_of_the_python_files_alone(tmp_path: Path) -> None:
    def version(name: str, files: dict[str, str]) -> str:
        (tmp_path / name).mkdir()
        for file, content in files.items():
            (tmp_path / name / file).write_text(content)
        return code_version(tmp_path / name)

    first = version("a", {"x.py": "1", "y.py": "2"})
    assert re.fullmatch("[0-9a-f]{16}", first)
    assert version("b", {"y.py": "2", "x.py": "1", "z.txt": "3"}) == first
    changes = [{"x.py": "1"}, {"x.py": "12", "y.py": ""}, {"x.py": "2", "y.py": "1"}, {"z.py": "1", "y.py": "2"}]
    assert len({first, *(version(f"c{number}", files) for number, files in enumerate(changes))}) == 5
