"""Commands on datasets: `vlrouting data …`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vlrouting.cli.app import app, fail

data = typer.Typer(no_args_is_help=True, help="Fetch, make, check and show datasets.", rich_markup_mode=None)
app.add_typer(data, name="data")


@data.command("make")
def make_data(
    world: Annotated[str, typer.Argument(help="Which: shapes, the project's own world.")],
    root: Annotated[Path, typer.Option(help="Folder to write; it must not hold other files.")],
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same bytes.")] = 0,
    train_images: Annotated[int | None, typer.Option("--train", min=1, help="Images to train on.")] = None,
    val_images: Annotated[int | None, typer.Option("--val", min=1, help="Images to validate on.")] = None,
    test_images: Annotated[int | None, typer.Option("--test", min=1, help="Images to test on.")] = None,
) -> None:
    """Draw a world of scenes and write it in the official formats of COCO captions, VQAv2, GQA and NLVR2.

    \b
    vlrouting data make shapes --root data/shapes
    vlrouting data make shapes --root data/small --train 100 --val 10 --test 20
    """
    if world != "shapes":
        fail(f"there is no world '{world}'; the one there is: shapes")
    from vlrouting.shapes import make_world

    sizes = {"train": train_images, "val": val_images, "test": test_images}
    make_world(root, seed, **{split: size for split, size in sizes.items() if size is not None})
    typer.echo(f"{root}: written; read it with data.root={root} data.prepare=shapes")
