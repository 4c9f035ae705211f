"""Errors that the user can fix, as opposed to bugs: missing files, a full disk. Imports no torch."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vlrouting.backbones.location import BackboneError, missing_backbones
from vlrouting.config import ExperimentConfig, Problem
from vlrouting.data.datasets.presence import missing_files
from vlrouting.data.example import DataError
from vlrouting.experiment import UserError
from vlrouting.models.not_finite import NotFinite
from vlrouting.training.logger_packages import missing_logger_packages

USER_ERRORS = (UserError, DataError, BackboneError)
"""Trying again would only repeat them, for this point and for the others of a sweep."""


class PointFailure(Exception):
    """Why one point failed, in a sentence that needs no traceback; the others of a sweep may well succeed."""


EXPLAINED = (*USER_ERRORS, PointFailure, NotFinite)
"""Errors whose text says everything."""
_LASTING = {
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EFBIG,
}
"""What a user must fix; a network disk that does not answer may do so the next time."""


def missing_files_of(config: ExperimentConfig) -> list[Problem]:
    """For each missing file, image folder, backbone and package of a point: what is missing, and the remedy."""
    files = missing_files(config.data, images=config.model.visual_input == "image")
    return files + missing_backbones(config) + missing_logger_packages(config.train)


@contextmanager
def disk_errors_as_user_errors(point: str, folder: Path) -> Iterator[None]:
    """A full or read-only disk is a user error.

    Raises:
        UserError: in place of an OSError.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _LASTING:
            raise
        where = error.filename or folder
        raise UserError(f"{point}: {error.strerror or error}: {where}; what was saved is kept") from error
