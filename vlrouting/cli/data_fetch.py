"""`vlrouting data fetch`: the official files of a dataset."""

from __future__ import annotations

import shlex
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vlrouting.cli import completion
from vlrouting.cli.app import fail
from vlrouting.cli.datasets import data

if TYPE_CHECKING:
    from vlrouting.data.fetch.plan import Item, Request


@data.command("fetch")
def fetch_data(
    dataset: Annotated[
        str,
        typer.Argument(
            metavar="DATASET|EXP",
            help="Which: coco, vqav2, gqa, nlvr2; or an experiment: what its datasets lack.",
            autocompletion=completion.datasets_and_experiments,
        ),
    ],
    root: Annotated[
        Path | None, typer.Option(help="Folder of the files. Default: data/DATASET, or the experiment's.")
    ] = None,
    split: Annotated[
        list[str] | None,
        typer.Option(help="Only what this split needs; repeatable; or: all. Default: the experiment's, or usual ones."),
    ] = None,
    only: Annotated[str | None, typer.Option(help="annotations or images.")] = None,
    file: Annotated[list[str] | None, typer.Option(help="Only this file or folder below the root; repeatable.")] = None,
    keep_archives: Annotated[bool, typer.Option("--keep-archives", help="Keep them, in ROOT/archives.")] = False,
    from_dir: Annotated[Path | None, typer.Option("--from", help="Folder with archives that you have.")] = None,
    mirror: Annotated[str | None, typer.Option(help="URL of a folder with the archives; asked first.")] = None,
    manifest: Annotated[Path | None, typer.Option(help="YAML file in place of the dataset's own manifest.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be fetched, and fetch nothing.")] = False,
) -> None:
    """Download, verify and unpack the official files of a dataset, as far as they are missing.

    \b
    vlrouting data fetch coco --dry-run
    vlrouting data fetch vqav2 --root /data/vqav2 --only annotations
    vlrouting data fetch nlvr2 --from ~/Downloads
    vlrouting data fetch clip_bart_multitask
    """
    from vlrouting.data.fetch.manifest import KINDS
    from vlrouting.data.fetch.plan import Request
    from vlrouting.data.fetch.wanted import wanted_data

    if only not in (None, *KINDS):
        fail(f"--only {only}: is not one of {', '.join(KINDS)}")
    to_ask_for: list[str] = []
    for wanted in wanted_data(dataset, root=root, splits=split or (), manifest=manifest):
        request = Request(
            manifest=wanted.manifest,
            root=wanted.root,
            splits=wanted.splits,
            only=only,
            files=tuple(file or ()),
            from_dir=from_dir,
            mirror=mirror,
            keep_archives=keep_archives,
        )
        if dry_run:
            _show(request)
        else:
            to_ask_for += _fetch(request)
    if to_ask_for:
        fail("\n".join(to_ask_for))


def _show(request: Request) -> None:
    from vlrouting.data.fetch.plan import plan
    from vlrouting.data.fetch.show import plan_table, totals
    from vlrouting.report.console import standard_output

    items = plan(request)
    standard_output().print(plan_table(request.manifest, items))
    typer.echo(totals(request.root, items))


def _fetch(request: Request) -> list[str]:
    """Fetch what can be; what is left to ask for, in a sentence for each page."""
    from vlrouting.data.fetch.download import Unreachable
    from vlrouting.data.fetch.fetch import fetch
    from vlrouting.experiment.exit_status import ExitStatus

    try:
        outcome = fetch(request)
    except KeyboardInterrupt:
        fail("interrupted; the same command resumes where it stopped", 128 + signal.SIGINT)
    except Unreachable as error:
        fail(str(error), ExitStatus.PREEMPTED)
    if outcome.must_be_asked_for:
        return _what_to_ask_for(request, outcome.must_be_asked_for)
    there = "fetched, and all is there" if outcome.fetched else "all is there, nothing to do"
    typer.echo(f"{request.root}: {there}")
    return []


def _what_to_ask_for(request: Request, items: list[Item]) -> list[str]:
    name, root = request.manifest.dataset, shlex.quote(str(request.root))
    lines = []
    for page in dict.fromkeys(item.source.page for item in items):
        asked = [item for item in items if item.source.page == page]
        missing = ", ".join(path for item in asked for path in item.missing)
        files = ", ".join(item.source.file for item in asked)
        lines.append(
            f"{request.root}: {missing} cannot be downloaded by a program: ask for {files} at {page}, then run "
            f"vlrouting data fetch {name} --root {root} --from FOLDER"
        )
    return lines
