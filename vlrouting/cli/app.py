"""The command-line program: its options that all commands share, and how a command fails."""

from __future__ import annotations

from typing import Annotated, NoReturn

import typer

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)


def _show_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"vlrouting {version('vlrouting')}")
        raise typer.Exit()


@app.callback()
def vlrouting(
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Results and errors only, no progress.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Also what is read and decided on the way.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Vision-language parameter-efficient fine-tuning with routing functions.

    \b
    vlrouting list                               the experiments of the folder experiments/
    vlrouting train demo_vqa train.lr=1e-3       train every point of one, and compare them
    vlrouting -q train demo_vqa                  the same without progress
    vlrouting --install-completion               complete names and keys in this shell
    """
    if quiet and verbose:
        fail("-q and -v contradict each other: leave one of them out")
    from vlrouting.verbosity import choose

    choose(quiet, verbose)


def fail(message: str, status: int | None = None) -> NoReturn:
    """Print an error and exit; the default status is that of a user error."""
    from vlrouting.experiment.exit_status import ExitStatus

    # Several findings start on a line of their own, so that each begins with its file and line.
    typer.echo(f"vlrouting:{chr(10) if chr(10) in message else ' '}{message}", err=True)
    raise SystemExit(int(ExitStatus.USER_ERROR if status is None else status))
