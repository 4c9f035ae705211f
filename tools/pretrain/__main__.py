"""`python -m tools.pretrain vit|gpt2 --out DIR`: trains a mini backbone from nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tools.pretrain.optimize import Recipe

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)

Out = Annotated[Path, typer.Option(help="A new folder for the weights and their configuration.")]
Steps = Annotated[int, typer.Option(min=1, help="Steps of the optimizer.")]
BatchSize = Annotated[int, typer.Option(min=1)]
LearningRate = Annotated[float, typer.Option("--lr", min=0.0, help="At its highest.")]
Seed = Annotated[int, typer.Option(help="Of data and weights.")]
Tests = Annotated[int, typer.Option(min=1, help="How many fresh scenes to measure on.")]


@app.callback()
def pretrain() -> None:
    """The mini backbones of the shapes world, trained apart from each other and from nothing."""


@app.command()
def vit(
    out: Out,
    steps: Steps = 3_000,
    scenes: Annotated[int, typer.Option(min=1, help="How many pictures to learn from.")] = 100_000,
    batch_size: BatchSize = 32,
    lr: LearningRate = 1e-3,
    seed: Seed = 0,
    test_scenes: Tests = 5_000,
) -> None:
    """A ViT on pictures alone, labelled with what is in each cell."""
    from tools.pretrain.vit import train_vit

    recipe = Recipe(steps, batch_size, lr, seed=seed)
    try:
        accuracy = train_vit(out, scenes, test_scenes, recipe)
    except FileExistsError as error:
        raise typer.BadParameter(str(error), param_hint="--out") from None
    typer.echo(f"{out}: on {test_scenes} fresh pictures {accuracy.things:.2%} of the things and {accuracy.pictures:.2%}"
               " of the pictures are read entirely right from the class token")  # fmt: skip


@app.command()
def gpt2(
    out: Out,
    steps: Steps = 600,
    vocabulary: Annotated[int, typer.Option(min=257, help="How many tokens at most.")] = 512,
    batch_size: BatchSize = 32,
    lr: LearningRate = 1e-3,
    seed: Seed = 0,
    test_scenes: Tests = 5_000,
) -> None:
    """A GPT-2 and its tokenizer on sentences alone: captions, and questions with their answers."""
    from tools.pretrain.gpt2 import train_gpt2

    recipe = Recipe(steps, batch_size, lr, seed=seed)
    try:
        perplexity = train_gpt2(out, vocabulary, test_scenes, recipe)
    except FileExistsError as error:
        raise typer.BadParameter(str(error), param_hint="--out") from None
    typer.echo(f"{out}: perplexity {perplexity:.3f} per token on {test_scenes} fresh texts")


if __name__ == "__main__":
    app()
