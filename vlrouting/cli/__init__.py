"""The command line. Every command is one library call, imported when it runs: `--help` needs nothing heavy."""

from __future__ import annotations

import signal
import tempfile
from pathlib import Path

from vlrouting.cli import (  # noqa: F401 - they add their commands to `app`
    artifacts,
    data_check,
    data_fetch,
    datasets,
    experiments,
    explore,
    init,
    params,
    reports,
)
from vlrouting.cli.app import app, fail

__all__ = ["app", "main"]


def main() -> None:
    """Entry point: a user error gets its message, no traceback; a signal its own exit status."""
    try:
        app()
    except KeyboardInterrupt:
        raise SystemExit(128 + signal.SIGINT) from None
    except Exception as error:
        # By name, because importing the classes would import torch for `--help`.
        names = {base.__name__ for base in type(error).__mro__}
        if "Cancelled" in names:
            fail(str(error), error.exit_status)  # type: ignore[attr-defined]
        if names & {"UserError", "DataError", "BackboneError", "ArtifactError", "PredictionsError", "NotFinite"}:
            fail(str(error))
        if isinstance(error, OSError):
            from vlrouting.experiment.disk import disk_error_text, is_lasting

            if is_lasting(error):
                fail(disk_error_text(error, [Path.cwd(), Path(tempfile.gettempdir())]))
        raise
