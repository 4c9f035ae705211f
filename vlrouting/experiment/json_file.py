"""JSON that was written here, and may be damaged since."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vlrouting.config.fit import objection
from vlrouting.experiment.errors import UserError

MOST_BYTES = 64_000_000


def read_object(path: Path, fields: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The object that a JSON file holds.

    Args:
        path: the file.
        fields: name -> type of those that are relied on, with its marks (see `vlrouting.config.limits`); others may be
            anything.

    Raises:
        UserError: it cannot be read, is no JSON, or a field is of another type; the text names the file.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise ValueError(f"it is larger than {MOST_BYTES:,} bytes")
        value = json.loads(content.decode("utf-8"))
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}.") from error
    except ValueError as error:
        raise UserError(f"{path} is damaged: {str(error).splitlines()[0]}.") from error
    except RecursionError:
        raise UserError(f"{path} is damaged: it is nested too deeply.") from None
    if not isinstance(value, dict):
        raise UserError(f"{path} is damaged: expected an object.")
    for name, hint in (fields or {}).items():
        if name in value and (problem := objection(value[name], hint)) is not None:
            raise UserError(f"{path} is damaged: '{name}': {problem.message}.")
    return value
