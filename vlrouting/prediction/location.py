"""The artifact that a user means: its folder, its run directory, or one of an experiment's. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vlrouting.config.names import counted, did_you_mean
from vlrouting.experiment import RunDirectory, UserError, known_experiments

CONFIG_FILE = "adapter_config.json"
TENSOR_FILE = "adapter_model.safetensors"
RUNS = Path("runs")
_MOST_LISTED = 10


def find_artifact(given: str | Path, runs: Path = RUNS) -> Path:
    """The artifact's folder: `given` itself, the folder around a file of it, or the one inside a run directory.

    Raises:
        UserError: there is none; the text lists those that are near, or says how to make one.
    """
    try:
        return _find(str(given), Path(given), runs)
    except OSError as error:  # a folder that may not be read, a name that is too long
        raise UserError(f"{str(given)[:200]}: cannot be read ({error.strerror or error})") from None


def _find(text: str, path: Path, runs: Path) -> Path:
    if "://" in text:
        raise UserError(f"{text}: vlrouting fetches no URLs; download the artifact's folder, and name that")
    if path.is_file() and path.name in (CONFIG_FILE, TENSOR_FILE):
        path = path.parent
    if _is_artifact(path):
        return path
    if not path.is_dir():
        raise _not_there(text, path, runs)
    if _is_run(path):
        return _of_run(path)
    inside = _run_directories(path)
    if inside:
        raise UserError(_choice(text, path, inside))
    raise UserError(f"{path}: no artifact, which has {CONFIG_FILE} and {TENSOR_FILE}, and no run directory either")


def _is_artifact(path: Path) -> bool:
    """Whether one of its files is there: of a damaged artifact the missing one is named later."""
    return any((path / name).is_file() for name in (CONFIG_FILE, TENSOR_FILE))


def _is_run(path: Path) -> bool:
    return (path / "run.json").is_file() or (path / "config.yaml").is_file() or _is_artifact(path / "artifact")


def _run_directories(folder: Path) -> list[Path]:
    """The run directories of an experiment, or of all experiments."""
    if not folder.is_dir():
        return []
    children = [path for path in sorted(folder.iterdir()) if path.is_dir() and not path.name.startswith(".")]
    found = [child for child in children if _is_run(child)]
    return found or [run for child in children for run in sorted(child.iterdir()) if run.is_dir() and _is_run(run)]


def _of_run(path: Path) -> Path:
    """The artifact of a run directory; it is written after the test, as one of the last things."""
    run = RunDirectory(path)
    if _is_artifact(run.artifact):
        return run.artifact
    status = run.status() or "not started"
    raise UserError(
        f"{path}: the point is {status} and has no artifact yet; "
        f"finish it: vlrouting train {path.resolve().parent.name} --point {path.resolve().name}"
    )


def _choice(given: str, folder: Path, runs: Sequence[Path]) -> str:
    trained = [str(run) for run in runs if _is_artifact(run / "artifact")]
    if not trained:
        points = counted(len(runs), "point")
        return f"{folder}: {points}, and no artifact yet; finish the training: vlrouting train {given}"
    more = f"\n  … and {len(trained) - _MOST_LISTED} more" if len(trained) > _MOST_LISTED else ""
    return (
        f"{given} has several artifacts; name one of:\n"
        + "\n".join(f"  {run}" for run in trained[:_MOST_LISTED])
        + more
    )


def _not_there(given: str, path: Path, runs: Path) -> UserError:
    """Why a path leads nowhere: it may be an experiment's name, or a slip in one part of it."""
    if inside := _run_directories(runs / path):
        return UserError(_choice(given, runs / path, inside))
    if given in known_experiments():
        return UserError(f"{given}: the experiment has no runs in {runs}/; train it: vlrouting train {given}")
    if path.is_file():
        return UserError(f"{path}: is a file; an artifact is a folder with {CONFIG_FILE} and {TENSOR_FILE}")
    existing = next(parent for parent in (path.parent, *path.parent.parents, Path("/")) if parent.is_dir())
    wrong = path.relative_to(existing).parts[0] if path.is_relative_to(existing) else path.name
    known = [child.name for child in sorted(existing.iterdir()) if child.is_dir() and not child.name.startswith(".")]
    hint = did_you_mean(wrong, known) or (f" {existing}/ has {', '.join(known[:_MOST_LISTED])}." if known else "")
    return UserError(f"{given}: {existing}/ has no folder '{wrong}'.{hint}")
