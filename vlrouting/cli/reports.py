"""The command that writes the report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vlrouting.cli.app import app
from vlrouting.cli.arguments import RUNS, ExperimentNames, Runs


@app.command()
def report(
    experiments: ExperimentNames = None,
    out: Annotated[Path | None, typer.Option(help="The HTML file; default: report.html beside the runs.")] = None,
    examples: Annotated[int, typer.Option(min=0, help="Most test examples to show.")] = 300,
    baseline: Annotated[
        str | None, typer.Option(metavar="VARIANT", help="The variant to compare with, such as routing=none.")
    ] = None,
    runs: Runs = RUNS,
) -> None:
    """Write one HTML file: verdict, table, plots, settings, and test examples with every variant's output.

    It needs no network and no server. The plots are also written as PNG and PDF to plots/ beside the runs.

    \b
    vlrouting report demo_vqa
    vlrouting report demo_vqa demo_gqa --out comparison.html --examples 100
    """
    from vlrouting.experiment.compose import run_name
    from vlrouting.experiment.variant_names import configured_baselines
    from vlrouting.report.html import report_runs

    names = experiments or []
    folders = [runs / run_name(name) for name in names]
    configured = configured_baselines(names)
    page, *plots = report_runs(folders, baseline=baseline, configured=configured, out=out, examples=examples)
    typer.echo(f"Report: {page}")
    if plots:
        typer.echo(f"Plots:  {plots[0].parent}/  ({len(plots)} files)")
