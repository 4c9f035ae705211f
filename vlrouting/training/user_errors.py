"""Errors that the user can fix, as opposed to bugs: missing files, a full disk. Imports no torch."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from vlrouting.backbones.location import BackboneError, missing_backbones
from vlrouting.config import ExperimentConfig, Problem
from vlrouting.data.datasets.presence import missing_files
from vlrouting.data.example import DataError
from vlrouting.experiment import RunDirectory, UserError
from vlrouting.experiment.disk import disk_error_text, is_lasting
from vlrouting.models.not_finite import NotFinite
from vlrouting.training.logger_packages import missing_logger_packages

USER_ERRORS = (UserError, DataError, BackboneError)
"""Trying again would only repeat them, for this point and for the others of a sweep."""


class PointFailure(Exception):
    """Why one point failed, in a sentence that needs no traceback; the others of a sweep may well succeed."""


EXPLAINED = (*USER_ERRORS, PointFailure, NotFinite)
"""Errors whose text says everything."""


def error_text(error: Exception) -> str:
    """An explained error's own text; of another exception the class too."""
    return str(error) if isinstance(error, EXPLAINED) else f"{type(error).__name__}: {error}"


def missing_files_of(config: ExperimentConfig) -> list[Problem]:
    """For each missing file, image folder, backbone and package of a point: what is missing, and the remedy."""
    files = [
        problem.placed(partial(config.key_of, name))
        for name, view in config.per_dataset.items()
        for problem in missing_files(view.data, images=config.uses_image)
    ]
    return files + missing_backbones(config) + missing_logger_packages(config.train)


def written_folders(config: ExperimentConfig) -> list[Path]:
    """Where a point writes, beside its run directory."""
    roots = list(dict.fromkeys(Path(view.data.root) for view in config.per_dataset.values()))
    caches = [Path(config.vision.cache_dir)] if config.vision.cache_dir else [root / "features" for root in roots]
    return [*roots, *caches, Path(tempfile.gettempdir())]


def require_run_directory(run: RunDirectory) -> None:
    """Check, before something is saved, that nobody has removed the directory of a point that runs.

    Raises:
        PointFailure: it is gone, or another one is in its place.
    """
    if not run.config.is_file():
        raise PointFailure(removed(run))


def removed(run: RunDirectory) -> str:
    """What to say of a run directory that was removed while its point was running."""
    return f"{run.path} was removed while the point was running, with all that was saved; train the point again"


@contextmanager
def disk_errors_as_user_errors(name: str, folders: Iterable[Path], run: RunDirectory | None = None) -> Iterator[None]:
    """A full or read-only disk is a user error.

    Args:
        name: of the point or dataset.
        folders: that the block writes to.
        run: of the point.

    Raises:
        UserError: in place of an OSError.
        PointFailure: the run directory was removed.
    """
    started = run is not None and run.config.is_file()
    try:
        yield
    except OSError as error:
        if not is_lasting(error):
            raise
        if run is None:
            raise UserError(f"{name}: {disk_error_text(error, folders)}") from error
        if started:
            require_run_directory(run)
        text = disk_error_text(error, [run.path, *folders])
        raise UserError(f"{name}: {text}; {_what_is_kept(run)}") from error


def _what_is_kept(run: RunDirectory) -> str:
    if run.last.is_file() or run.previous.is_file():
        return "the same command then resumes from the last checkpoint"
    return "nothing was saved yet, and the same command starts the point from step 0"
