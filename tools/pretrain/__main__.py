"""`python -m tools.pretrain vit|gpt2|bart --out DIR`: trains a mini backbone from scratch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tools.pretrain.optimize import Recipe

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)

Out = Annotated[Path, typer.Option(help="A new folder for the weights and their configuration.")]
Steps = Annotated[int, typer.Option(min=1, help="Optimizer steps.")]
BatchSize = Annotated[int, typer.Option(min=1)]
LearningRate = Annotated[float, typer.Option("--lr", min=0.0, help="Peak learning rate.")]
Seed = Annotated[int, typer.Option(help="Seed of data and weights.")]
Tests = Annotated[int, typer.Option(min=1, help="Number of new scenes for the evaluation.")]


@app.callback()
def pretrain() -> None:
    """Train the mini backbones of the shapes world, separately and from scratch."""


@app.command()
def vit(
    out: Out,
    steps: Steps = 3_000,
    scenes: Annotated[int, typer.Option(min=1, help="Number of training images.")] = 100_000,
    batch_size: BatchSize = 32,
    lr: LearningRate = 1e-3,
    seed: Seed = 0,
    test_scenes: Tests = 5_000,
) -> None:
    """Train a ViT on images, labelled with the content of each cell."""
    from tools.pretrain.vit import train_vit

    recipe = Recipe(steps, batch_size, lr, seed=seed)
    try:
        accuracy = train_vit(out, scenes, test_scenes, recipe)
    except FileExistsError as error:
        raise typer.BadParameter(str(error), param_hint="--out") from None
    predicted = f"{accuracy.things:.2%} of the things, and all things in {accuracy.images:.2%} of the images"
    typer.echo(f"{out}: on {test_scenes} new images the class token predicts {predicted}")


@app.command()
def gpt2(
    out: Out,
    steps: Steps = 600,
    vocabulary: Annotated[int, typer.Option(min=257, help="Maximum number of tokens.")] = 512,
    batch_size: BatchSize = 32,
    lr: LearningRate = 1e-3,
    seed: Seed = 0,
    test_scenes: Tests = 5_000,
) -> None:
    """Train a GPT-2 and its tokenizer on texts: captions, and questions with answers."""
    from tools.pretrain.gpt2 import train_gpt2

    recipe = Recipe(steps, batch_size, lr, seed=seed)
    try:
        perplexity = train_gpt2(out, vocabulary, test_scenes, recipe)
    except FileExistsError as error:
        raise typer.BadParameter(str(error), param_hint="--out") from None
    typer.echo(f"{out}: perplexity {perplexity:.3f} per token on {test_scenes} new texts")


@app.command()
def bart(
    out: Out,
    steps: Steps = 4_500,
    vocabulary: Annotated[int, typer.Option(min=261, help="Maximum number of tokens.")] = 600,
    batch_size: BatchSize = 16,
    lr: LearningRate = 1.5e-3,
    seed: Seed = 0,
    test_documents: Annotated[int, typer.Option(min=1, help="Number of new texts for the evaluation.")] = 2_000,
) -> None:
    """Train a BART and its tokenizer to restore masked texts: captions, questions with answers, and statements."""
    from tools.pretrain.bart import train_bart

    recipe = Recipe(steps, batch_size, lr, seed=seed)
    try:
        found = train_bart(out, vocabulary, test_documents, recipe)
    except FileExistsError as error:
        raise typer.BadParameter(str(error), param_hint="--out") from None
    typer.echo(
        f"{out}: loss {found.loss:.3f} per token on {test_documents} new texts; of those with one masked answer "
        f"{found.answers:.2%} are restored in full"
    )


if __name__ == "__main__":
    app()
