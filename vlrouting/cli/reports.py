"""Commands on finished runs: compare, power, report."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from vlrouting.cli.app import app
from vlrouting.cli.arguments import RUNS, ExperimentName, ExperimentNames, Runs


class Output(str, Enum):
    """How a comparison is printed."""

    table = "table"
    csv = "csv"
    json = "json"
    markdown = "markdown"
    latex = "latex"


class Mixed(str, Enum):
    """What points may differ in that are averaged and compared all the same."""

    code = "code"
    data = "data"
    metric = "metric"
    precision = "precision"
    device = "device"


@app.command()
def compare(
    experiments: ExperimentNames = None,
    baseline: Annotated[
        str | None, typer.Option(metavar="VARIANT", help="The variant to compare with, such as routing=none.")
    ] = None,
    metric: Annotated[
        str | None,
        typer.Option(metavar="KEY", help="What to compare by, such as test/CIDEr; default: the main metric."),
    ] = None,
    mixed: Annotated[
        list[Mixed] | None,
        typer.Option(help="Average and compare points that differ in this: code, data, … (may be repeated)."),
    ] = None,
    output: Annotated[Output, typer.Option("--format", help="What to print.")] = Output.table,
    runs: Runs = RUNS,
) -> None:
    """Compare the variants of experiments: scores with intervals, differences, verdicts, and what is missing for them.

    Everything comes from the run directories. Files are written next to them: docs/comparing.md says which.

    \b
    vlrouting compare demo_vqa
    vlrouting compare demo_vqa demo_gqa --baseline routing=none
    vlrouting compare demo_vqa --format latex > table.tex
    """
    from vlrouting.experiment.compose import run_name
    from vlrouting.experiment.variant_names import configured_baselines
    from vlrouting.report import compare as compare_runs

    compare_runs(
        [runs / run_name(name) for name in experiments or []],
        baseline=baseline,
        configured=configured_baselines(experiments or []),
        metric=metric,
        mixed=[field.value for field in mixed or []],
        output=output.value,
    )


@app.command()
def power(
    experiment: ExperimentName = "",
    difference: Annotated[
        float, typer.Option(metavar="D", help="A true difference to the baseline, in the metric's unit.")
    ] = 1.0,
    seeds: Annotated[list[int] | None, typer.Option(min=1, help="Numbers of seeds, may be repeated; 1 to 10.")] = None,
    assume_seed_std: Annotated[
        float | None, typer.Option(min=0, metavar="S", help="Std of a variant's score between seeds.")
    ] = None,
    assume_example_std: Annotated[
        float | None, typer.Option(min=0, metavar="E", help="Std of a difference between (clusters of) test examples.")
    ] = None,
    clusters: Annotated[int | None, typer.Option(min=2, help="Clusters (images) of the test set.")] = None,
    comparisons: Annotated[int | None, typer.Option(min=1, help="Differences that are tested together.")] = None,
    runs: Runs = RUNS,
) -> None:
    """Say how many seeds and test examples show a difference, before they are queued.

    The variances are those of the runs so far, or the assumed ones; then no runs are needed.

    \b
    vlrouting power demo_vqa --difference 0.5
    vlrouting power demo_vqa --difference 0.5 --assume-seed-std 0.3 --assume-example-std 15 --clusters 800
    """
    from vlrouting.experiment.variant_names import variant_name
    from vlrouting.launch.open_points import known_points
    from vlrouting.report.power import SEEDS, Assumptions, measured, power_table, show_power

    known = known_points(experiment, runs)
    found = measured(runs / known.experiment)
    if comparisons is None and found is None:
        comparisons = max(1, len(set(map(variant_name, known.points))) - 1)
    assumed = Assumptions(assume_seed_std, assume_example_std, clusters, comparisons)
    show_power(power_table(difference, found, assumed=assumed, seeds=seeds or SEEDS))


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
