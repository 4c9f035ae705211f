"""The command params: trainable parameters before anything is trained."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer

from vlrouting.cli.app import app
from vlrouting.cli.arguments import ExperimentName, Overrides
from vlrouting.cli.loading import loading


class Format(str, Enum):
    """How the numbers are printed."""

    table = "table"
    csv = "csv"
    json = "json"


@app.command()
def params(
    experiment: ExperimentName = "",
    overrides: Overrides = None,
    output: Annotated[Format, typer.Option("--format", help="What to print.")] = Format.table,
) -> None:
    """Count the trainable parameters of every variant by part, without weights and without data.

    The models are built from their configurations alone. Only a head that chooses among the answers of the data reads
    them, where they are there.

    \b
    vlrouting params demo_vqa
    vlrouting params vqav2_roberta_routing bottleneck.rank=16 --format json
    """
    from vlrouting.experiment import load

    checked = load(experiment, overrides or [])
    with loading("torch"):
        from vlrouting.parameters import experiment_parameters, show

    variants = experiment_parameters(checked.points)
    if output == Format.table:
        show.print_table(variants)
    else:
        typer.echo(show.as_json(variants) if output == Format.json else show.as_csv(variants))
