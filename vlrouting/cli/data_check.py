"""`vlrouting data check` and `vlrouting data show`."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from vlrouting.cli import completion
from vlrouting.cli.arguments import Overrides
from vlrouting.cli.datasets import data
from vlrouting.cli.loading import loading


class Images(str, Enum):
    """Which images are opened."""

    all = "all"
    sample = "sample"
    none = "none"


Subject = Annotated[
    str,
    typer.Argument(
        metavar="DATASET|EXP",
        help="A dataset (coco, vqav2, gqa, nlvr2, …), or an experiment.",
        autocompletion=completion.datasets_and_experiments,
        show_default=False,
    ),
]
Root = Annotated[Path | None, typer.Option(help="Folder of the files; default: data/DATASET, or the experiment's.")]


@data.command()
def check(
    subject: Subject,
    overrides: Overrides = None,
    root: Root = None,
    split: Annotated[
        list[str] | None, typer.Option(help="Only this split; may be repeated. Default: all that are there.")
    ] = None,
    images: Annotated[Images, typer.Option(help="Which images to open; sample: 500 of each split.")] = Images.all,
    manifest: Annotated[Path | None, typer.Option(help="A manifest with the official numbers of other files.")] = None,
    write: Annotated[Path | None, typer.Option(metavar="FILE.json", help="Also write everything to this file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON in place of tables.")] = False,
) -> None:
    """Check a dataset: every record, the official numbers, every image, answers, images in two splits.

    The exit status is 2 where something is wrong; warnings alone leave it at 0.

    \b
    vlrouting data check coco
    vlrouting data check vqav2 --split val2014 --images sample
    vlrouting data check demo_caption data.root=data/shapes
    """
    from vlrouting.data.inspection.command import check as check_data

    wrong = check_data(
        subject,
        overrides or [],
        root=root,
        splits=split or [],
        images=images.value,
        manifest=manifest,
        write=write,
        print_json=as_json,
    )
    if wrong:
        from vlrouting.experiment.exit_status import ExitStatus

        raise SystemExit(int(ExitStatus.USER_ERROR))


@data.command()
def show(
    subject: Subject,
    overrides: Overrides = None,
    root: Root = None,
    split: Annotated[str | None, typer.Option(help="Which split; default: the training split.")] = None,
    dataset: Annotated[
        str | None, typer.Option(help="Only this one of an experiment's several datasets; default: a sheet of each.")
    ] = None,
    count: Annotated[int, typer.Option(min=1, max=200, help="Examples to show.")] = 16,
    seed: Annotated[int, typer.Option(min=0, help="Chooses the examples.")] = 0,
    out: Annotated[Path, typer.Option(metavar="FILE.png", help="The file to write.")] = Path("sheet.png"),
) -> None:
    """Draw a sheet of examples: images with questions and answers or captions; lengths and answers of the split.

    \b
    vlrouting data show vqav2
    vlrouting data show demo_caption --split test --count 24 --out captions.png

    The sheets of several datasets are sheet_NAME.png.
    """
    from vlrouting.data.inspection.subject import of_each_dataset, subjects_of

    found = of_each_dataset(subjects_of(subject, overrides or [], root, [split] if split else []), dataset)
    for chosen in found:
        tokens = None
        if chosen.config is not None:
            with loading("the tokenizer"):
                from vlrouting.data.loading.token_counter import token_counter_of

                tokens = token_counter_of(chosen.config, chosen.key_of)
        from vlrouting.report.data_show import show_data

        file = out.with_stem(f"{out.stem}_{chosen.dataset}") if len(found) > 1 else out
        show_data(chosen, file, split=split, count=count, seed=seed, tokens=tokens)
