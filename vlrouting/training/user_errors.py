"""Errors that the user can mend, told apart from faults of the program."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vlrouting.backbones.location import BackboneError
from vlrouting.data.example import DataError
from vlrouting.experiment import UserError

USER_MISTAKES = (UserError, DataError, BackboneError)
"""To try again would only repeat them, for this point and for the others of a sweep."""
LASTING = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOENT, errno.ENOTDIR, errno.EFBIG}
"""What a user must see to; a network disk that does not answer may do so the next time."""


@contextmanager
def disk_errors_told(point: str, folder: Path) -> Iterator[None]:
    """A disk that is full or read-only becomes a sentence.

    Raises:
        UserError: in place of an OSError.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in LASTING:
            raise
        where = error.filename or folder
        raise UserError(f"{point}: {error.strerror or error}: {where}; what was saved is kept") from error
