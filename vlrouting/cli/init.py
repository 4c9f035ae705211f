"""`vlrouting init`: an experiment for a folder of one's own."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from vlrouting.cli.app import app


class Task(str, Enum):
    """What a table can be used for."""

    vqa_classification = "vqa_classification"
    vqa_generation = "vqa_generation"
    captioning = "captioning"


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Your pictures and their table.")],
    name: Annotated[str | None, typer.Option(help="Of the experiment; default: that of the folder.")] = None,
    task: Annotated[Task | None, typer.Option(help="What to train; default: what the table fits.")] = None,
    language: Annotated[str | None, typer.Option(metavar="NAME", help="A hub id, or a folder.")] = None,
    vision: Annotated[str | None, typer.Option(metavar="NAME", help="A timm model, or a folder.")] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The file to write; default: experiments/NAME.yaml.")
    ] = None,
    table: Annotated[
        bool,
        typer.Option("--table", help="First write a table, data.csv, for a folder that has pictures and none."),
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the experiment's file if it is there.")] = False,
) -> None:
    """Write an experiment for a folder with pictures and a table of questions or captions.

    \b
    vlrouting init my_data                          writes experiments/my_data.yaml
    vlrouting init my_data --language roberta-base --vision vit_base_patch16_224.orig_in21k
    vlrouting init my_pictures --table              folders such as cat/1.jpg and dog/2.jpg become answers

    The table is JSON Lines, CSV, TSV or parquet. The experiment compares a routing function with the same bottleneck
    without one, and with the text-only baseline.
    """
    from vlrouting.starter.plan import Wishes
    from vlrouting.starter.start import start

    wishes = Wishes(None if task is None else task.value, language, vision)
    for line in start(folder, wishes, name=name, out=out, table=table, force=force):
        typer.echo(line)
