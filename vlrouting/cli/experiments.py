"""Commands on an experiment: validate, train, doctor, sweep, status, cancel, evaluate, analyse."""

from __future__ import annotations

from contextlib import nullcontext, suppress
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vlrouting.cli.app import app, fail
from vlrouting.cli.arguments import RUNS, DryRun, ExperimentName, Overrides, PointNames, Runs
from vlrouting.cli.loading import loading

if TYPE_CHECKING:
    from vlrouting.experiment import Experiment, Point


class Launcher(str, Enum):
    """How the points of a sweep are started."""

    local = "local"
    slurm = "slurm"
    process = "process"


@app.command()
def validate(experiment: ExperimentName = "", overrides: Overrides = None) -> None:
    """Check an experiment: every error at once, in a second, before anything heavy starts.

    \b
    vlrouting validate demo_vqa
    vlrouting validate demo_vqa bottleneck.rank=16 "sweep.grid.seed=[0, 1, 2]"
    """
    from vlrouting.config.names import counted

    checked = _load(experiment, overrides)
    trials = f", after {counted(len(checked.trials), 'trial')} of the tuning" if checked.trials else ""
    typer.echo(f"{checked.source}: {counted(len(checked.points), 'point')}{trials}")
    for trial in checked.trials:
        typer.echo(f"  {checked.tuning.name.rpartition('/')[2]}/{trial.name}")
    for point in checked.points:
        typer.echo(f"  {point.name}")
    for name in checked.left_out:
        typer.echo(f"  {name}: left out, it contradicts the command line")


@app.command()
def train(
    experiment: ExperimentName = "", overrides: Overrides = None, point: PointNames = None, runs: Runs = RUNS
) -> None:
    """Train and evaluate every point that is not complete, resume what was cut off, and compare.

    \b
    vlrouting train demo_vqa
    vlrouting train demo_vqa -p routing=mul train.lr=1e-3
    """
    checked = _load(experiment, overrides)
    points = _points(checked, point)
    with loading("torch"):
        from vlrouting.launch.in_process import train as train_points

    _end(checked, len(points), train_points(checked, points, runs), runs)


@app.command()
def doctor(
    experiment: ExperimentName = "",
    overrides: Overrides = None,
    point: PointNames = None,
    runs: Runs = RUNS,
    launcher: Annotated[str | None, typer.Option(help="local, slurm or process: what will start the points.")] = None,
    gpu_memory: Annotated[float | None, typer.Option(min=0, help="GiB of the GPUs that will be used.")] = None,
    measure: Annotated[bool, typer.Option("--measure", help="Run a training step here for its peak memory.")] = False,
) -> None:
    """Look for what would stop or spoil a run, before anything is queued; each finding has its remedy.

    \b
    vlrouting doctor coco_gpt2_routing
    vlrouting doctor coco_gpt2_routing --launcher slurm train.devices=4 --gpu-memory 40
    """
    from vlrouting.doctor import command

    if command.look(experiment, overrides or [], point or [], runs, launcher, gpu_memory, measure):
        from vlrouting.experiment.exit_status import ExitStatus

        raise SystemExit(int(ExitStatus.USER_ERROR))


@app.command()
def sweep(
    experiment: ExperimentName = "",
    overrides: Overrides = None,
    point: PointNames = None,
    launcher: Annotated[
        Launcher, typer.Option(help="local: several points at once on this machine; slurm; process: one by one, here.")
    ] = Launcher.local,
    nodes: Annotated[int | None, typer.Option(help="Machines per point: train.nodes.")] = None,
    gpus: Annotated[int | None, typer.Option(help="GPUs, or processes on a CPU, per machine: train.devices.")] = None,
    at_once: Annotated[int | None, typer.Option(min=1, help="Most points at a time.")] = None,
    cluster: Annotated[str | None, typer.Option(help="slurm: a name in experiments/cluster/, or a YAML file.")] = None,
    only_missing: Annotated[
        bool, typer.Option("--only-missing/--again", help="Skip what is complete; or move it to .old/ and start again.")
    ] = True,
    dry_run: DryRun = False,
    runs: Runs = RUNS,
) -> None:
    """Run every point that is not complete, each as a process group of its own; resume what was cut off.

    \b
    vlrouting sweep demo_vqa --at-once 2
    vlrouting sweep coco_gpt2_routing --launcher slurm --cluster gpu --gpus 4 --dry-run
    """
    shape = {"train.nodes": nodes, "train.devices": gpus}
    given = [f"{key}={value}" for key, value in shape.items() if value is not None]
    # A dry run may be made where the data are not.
    checked = _load(experiment, [*(overrides or []), *given], with_files=not dry_run)
    points = _points(checked, point)
    if not (only_missing or dry_run):
        from vlrouting.launch.phases import set_aside_with_trials

        set_aside_with_trials(checked, points, runs)
    if launcher == Launcher.slurm:
        _submit(checked, points, runs, cluster, at_once, dry_run)
        return
    if cluster is not None:
        fail(f"--cluster {cluster} is for --launcher slurm")
    if dry_run:
        from vlrouting.launch.phases import open_names

        for waiting in open_names(checked, points, runs):
            typer.echo(waiting)
        return
    if launcher == Launcher.process:
        if at_once is not None:
            fail("--at-once is for --launcher local or slurm; process runs one point after the other")
        from vlrouting.launch.in_process import train as train_points

        failed = train_points(checked, points, runs)
    else:
        from vlrouting.launch.process_group import warm_up

        warm_up()  # imports there what is imported here next
        from vlrouting.launch.local import run_locally

        failed = run_locally(checked, points, runs, at_once)
    _end(checked, len(points), failed, runs)


@app.command()
def status(experiment: ExperimentName = "", runs: Runs = RUNS) -> None:
    """Show every point: queued, running (step, loss, rate, time left), complete, failed and why.

    \b
    vlrouting status demo_vqa
    """
    from vlrouting.launch.open_points import known_points
    from vlrouting.launch.status import show_status

    known = known_points(experiment, runs)
    show_status(known.experiment, known.points, runs, trials=known.trials)


@app.command()
def cancel(experiment: ExperimentName = "", point: PointNames = None, runs: Runs = RUNS) -> None:
    """End what waits or runs of an experiment, on a cluster or on this machine; what was saved is kept.

    \b
    vlrouting cancel demo_vqa
    vlrouting cancel demo_vqa -p routing=mul
    """
    from vlrouting.launch.cancel import cancel as cancel_points
    from vlrouting.launch.open_points import known_points

    name = known_points(experiment, runs).experiment
    cancelled = cancel_points(runs / name, point)
    typer.echo(f"cancelled: {', '.join(cancelled)}" if cancelled else f"{name}: nothing is queued or running")


@app.command()
def evaluate(
    experiment: ExperimentName = "", overrides: Overrides = None, point: PointNames = None, runs: Runs = RUNS
) -> None:
    """Score the artifacts of complete points again.

    \b
    vlrouting evaluate demo_vqa
    vlrouting evaluate coco_gpt2_routing evaluate.spice=true
    """
    from vlrouting.training.complete_points import complete_points

    checked = _load(experiment, overrides)
    points = [point for point, _ in complete_points(checked, _points(checked, point), runs)]
    with loading("torch"):
        from vlrouting.training.evaluation import evaluate as evaluate_points

    evaluate_points(checked, points, runs)
    _compare(checked, runs)


@app.command()
def analyse(
    experiment: ExperimentName = "",
    overrides: Overrides = None,
    point: PointNames = None,
    examples: Annotated[int, typer.Option(min=2, help="Of the test split, evenly spaced.")] = 500,
    dataset: Annotated[
        list[str] | None, typer.Option(help="Only on this one of several datasets; may be repeated. Default: on each.")
    ] = None,
    runs: Runs = RUNS,
) -> None:
    """Measure what routing does in complete points, layer by layer, and what their answers owe to the image.

    \b
    vlrouting analyse demo_vqa
    vlrouting analyse demo_vqa -p routing=mul --examples 2000
    """
    from vlrouting.training.complete_points import complete_points

    checked = _load(experiment, overrides)
    points = [point for point, _ in complete_points(checked, _points(checked, point), runs)]
    with loading("torch"):
        from vlrouting.analysis.analyse import analyse as analyse_points

    analyse_points(checked, points, runs, examples, dataset or ())


def _load(name: str, overrides: list[str] | None, with_files: bool = True) -> Experiment:
    from vlrouting.experiment import load
    from vlrouting.training.user_errors import missing_files_of

    return load(name, overrides or [], check_files=missing_files_of if with_files else None)


def _points(experiment: Experiment, names: list[str] | None) -> list[Point]:
    return [experiment.point(name) for name in names] if names else list(experiment.points)


def _submit(
    experiment: Experiment, points: list[Point], runs: Path, cluster: str | None, at_once: int | None, dry_run: bool
) -> None:
    from dataclasses import replace

    from vlrouting.experiment.cluster import load_cluster
    from vlrouting.launch.slurm.submit import submit

    config = load_cluster(cluster)
    if at_once is not None:
        config = replace(config, max_points_at_once=at_once)
    submit(experiment, points, runs, config, dry_run=dry_run)


def _end(experiment: Experiment, points: int, failed: dict[str, str], runs: Path) -> None:
    """The comparison, and what failed."""
    from vlrouting.experiment import UserError

    with suppress(UserError) if failed else nullcontext():  # there may be nothing left to compare
        _compare(experiment, runs)
    if failed:
        from vlrouting.config.names import counted
        from vlrouting.experiment.exit_status import ExitStatus

        listed = "\n".join(f"  {name}: {reason}" for name, reason in failed.items())

        fail(f"{len(failed)} of {counted(points, 'point')} failed:\n{listed}", ExitStatus.FAILED)


def _compare(experiment: Experiment, runs: Path) -> None:
    from vlrouting.report import compare as compare_runs

    configured = {experiment.name: experiment.points[0].config.compare.baseline}
    compare_runs([runs / experiment.name], configured=configured)
