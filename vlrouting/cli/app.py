"""The command-line program: its options that several commands share, and how a command fails."""

from __future__ import annotations

from typing import NoReturn

import typer

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@app.callback()
def vlrouting() -> None:
    """Vision-language parameter-efficient fine-tuning with routing functions."""


def fail(message: str, status: int | None = None) -> NoReturn:
    """Print an error and exit; the default status is that of a user error."""
    from vlrouting.experiment.exit_status import ExitStatus

    # Several findings start on a line of their own, so that each begins with its file and line.
    typer.echo(f"vlrouting:{chr(10) if chr(10) in message else ' '}{message}", err=True)
    raise SystemExit(int(ExitStatus.USER_ERROR if status is None else status))
