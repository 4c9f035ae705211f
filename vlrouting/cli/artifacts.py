"""Commands on what training wrote: predict, caption, score."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vlrouting.cli.app import app

ArtifactFolder = Annotated[Path, typer.Argument(help="runs/<experiment>/<point>/artifact")]


@app.command()
def predict(
    artifact: ArtifactFolder,
    image: Annotated[list[Path], typer.Argument(help="An image file; two for a model of image pairs.")],
    question: Annotated[str, typer.Argument(help="A question (or a statement) about it.")],
    top: Annotated[int, typer.Option(min=1, help="How many answers to show.")] = 3,
) -> None:
    """Answer a question about an image."""
    from vlrouting.training.predictor import load_trained

    for answer, probability in load_trained(artifact).answer(image, question, top):
        typer.echo(answer if probability is None else f"{probability:6.1%}  {answer}")


@app.command()
def caption(
    artifact: ArtifactFolder, images: Annotated[list[Path], typer.Argument(metavar="IMAGE…", help="Image files.")]
) -> None:
    """Write a caption for each image."""
    from vlrouting.training.predictor import load_trained

    for image, text in zip(images, load_trained(artifact).caption(images), strict=True):
        typer.echo(f"{image}: {text}" if len(images) > 1 else text)


@app.command()
def score(
    predictions: Annotated[Path, typer.Argument(help="runs/<experiment>/<point>/predictions.jsonl")],
    per_image: Annotated[Path | None, typer.Option(help="Also write every image's scores to this JSON file.")] = None,
) -> None:
    """Score a file of captions again, offline: BLEU, METEOR, ROUGE-L, CIDEr."""
    from vlrouting.report.caption_rescore import score_captions

    score_captions(predictions, per_image)
