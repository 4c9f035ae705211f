"""The command line. Every command is one library call, imported when it runs: `--help` needs nothing heavy."""

from __future__ import annotations

import signal
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from vlrouting.experiment import Experiment, Point

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)

data = typer.Typer(no_args_is_help=True, help="Make datasets.", rich_markup_mode=None)
app.add_typer(data, name="data")

ArtifactFolder = Annotated[Path, typer.Argument(help="runs/<experiment>/<point>/artifact")]
ExperimentName = Annotated[str, typer.Argument(metavar="EXP", help="A name in experiments/, or a YAML file.")]
Overrides = Annotated[list[str] | None, typer.Argument(metavar="[key=value …]", help="bottleneck.rank=16 seed=7")]
PointNames = Annotated[list[str] | None, typer.Option("--point", "-p", help="Only this point; may be repeated.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print what would run or be submitted; write nothing.")]
Runs = Annotated[Path, typer.Option(help="Folder of the run directories.")]
RUNS = Path("runs")


class Launcher(str, Enum):
    """How the points of a sweep are started."""

    local = "local"
    slurm = "slurm"
    process = "process"


@app.callback()
def vlrouting() -> None:
    """Vision-language parameter-efficient fine-tuning with routing functions."""


@app.command()
def validate(experiment: ExperimentName, overrides: Overrides = None) -> None:
    """Check an experiment: every error at once, in a second, before anything heavy starts."""
    checked = _load(experiment, overrides)
    typer.echo(f"{checked.source}: {len(checked.points)} points")
    for point in checked.points:
        typer.echo(f"  {point.name}")
    for name in checked.left_out:
        typer.echo(f"  {name}: left out, it contradicts the command line")


@app.command()
def train(experiment: ExperimentName, overrides: Overrides = None, point: PointNames = None, runs: Runs = RUNS) -> None:
    """Train and evaluate every point that is not complete, resume what was cut off, and compare."""
    checked = _load(experiment, overrides)
    points = _points(checked, point)
    from vlrouting.launch.in_process import train as train_points

    _end(checked.name, len(points), train_points(checked, points, runs), runs)


@app.command()
def doctor(
    experiment: ExperimentName,
    overrides: Overrides = None,
    point: PointNames = None,
    runs: Runs = RUNS,
    launcher: Annotated[str | None, typer.Option(help="local, slurm or process: what will start the points.")] = None,
    gpu_memory: Annotated[float | None, typer.Option(min=0, help="GiB of the GPUs that will be used.")] = None,
    measure: Annotated[bool, typer.Option("--measure", help="Run a training step here for its peak memory.")] = False,
) -> None:
    """Look for what would stop or spoil a run, before anything is queued; each finding has its remedy."""
    from vlrouting.doctor import command

    if command.look(experiment, overrides or [], point or [], runs, launcher, gpu_memory, measure):
        from vlrouting.experiment.exit_status import ExitStatus

        raise SystemExit(int(ExitStatus.USER_ERROR))


@app.command()
def sweep(
    experiment: ExperimentName,
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
        bool, typer.Option("--only-missing/--again", help="Skip what is complete; or move it to .old/ and start anew.")
    ] = True,
    dry_run: DryRun = False,
    runs: Runs = RUNS,
) -> None:
    """Run every point that is not complete, each as a process group of its own; resume what was cut off."""
    shape = {"train.nodes": nodes, "train.devices": gpus}
    given = [f"{key}={value}" for key, value in shape.items() if value is not None]
    checked = _load(experiment, [*(overrides or []), *given])
    points = _points(checked, point)
    if not (only_missing or dry_run):
        from vlrouting.launch.open_points import set_aside

        set_aside(checked, points, runs)
    if launcher == Launcher.slurm:
        _submit(checked, points, runs, cluster, at_once, dry_run)
        return
    if cluster is not None:
        _fail(f"--cluster {cluster} is for --launcher slurm")
    if dry_run:
        from vlrouting.launch.open_points import still_open

        for waiting in still_open(checked, points, runs):
            typer.echo(waiting.name)
        return
    if launcher == Launcher.process:
        if at_once is not None:
            _fail("--at-once is for --launcher local or slurm; process runs one point after the other")
        from vlrouting.launch.in_process import train as train_points

        failed = train_points(checked, points, runs)
    else:
        from vlrouting.launch.process_group import warm_up

        warm_up()  # imports there what is imported here next
        from vlrouting.launch.local import run_locally

        failed = run_locally(checked, points, runs, at_once)
    _end(checked.name, len(points), failed, runs)


@app.command()
def status(experiment: ExperimentName, runs: Runs = RUNS) -> None:
    """Show every point: queued, running (step, loss, rate, time left), complete, failed and why."""
    from vlrouting.launch.open_points import known_points
    from vlrouting.launch.status import show_status

    show_status(*known_points(experiment, runs), runs)


@app.command()
def cancel(experiment: ExperimentName, point: PointNames = None, runs: Runs = RUNS) -> None:
    """End what waits or runs of an experiment, on a cluster or on this machine; what was saved is kept."""
    from vlrouting.launch.cancel import cancel as cancel_points
    from vlrouting.launch.open_points import known_points

    name, _ = known_points(experiment, runs)

    cancelled = cancel_points(runs / name, point)
    typer.echo(f"cancelled: {', '.join(cancelled)}" if cancelled else f"{name}: nothing is queued or running")


@app.command()
def evaluate(
    experiment: ExperimentName, overrides: Overrides = None, point: PointNames = None, runs: Runs = RUNS
) -> None:
    """Score the artifacts of complete points again."""
    checked = _load(experiment, overrides)
    points = _points(checked, point)
    from vlrouting.training.evaluation import evaluate as evaluate_points

    evaluate_points(checked, points, runs)
    _compare(checked.name, runs)


@app.command()
def compare(experiment: ExperimentName, runs: Runs = RUNS) -> None:
    """Print the comparison table from the run directories; write it as Markdown, CSV and a plot."""
    _compare(Path(experiment).stem if experiment.endswith(".yaml") else experiment, runs)


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


@data.command("make")
def make_data(
    world: Annotated[str, typer.Argument(help="Which: shapes, the project's own world.")],
    root: Annotated[Path, typer.Option(help="Folder to write; it must not hold other files.")],
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same bytes.")] = 0,
    train_images: Annotated[int | None, typer.Option("--train", min=1, help="Images to train on.")] = None,
    val_images: Annotated[int | None, typer.Option("--val", min=1, help="Images to validate on.")] = None,
    test_images: Annotated[int | None, typer.Option("--test", min=1, help="Images to test on.")] = None,
) -> None:
    """Draw a world of scenes and write it in the official formats of COCO captions, VQAv2, GQA and NLVR2."""
    if world != "shapes":
        _fail(f"there is no world '{world}'; the one there is: shapes")
    from vlrouting.shapes import make_world

    sizes = {"train": train_images, "val": val_images, "test": test_images}
    make_world(root, seed, **{split: size for split, size in sizes.items() if size is not None})
    typer.echo(f"{root}: written; read it with data.root={root} data.prepare=shapes")


def _load(name: str, overrides: list[str] | None) -> Experiment:
    from vlrouting.experiment import load
    from vlrouting.training.user_errors import missing_files_of

    return load(name, overrides or [], check_files=missing_files_of)


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
    submit(experiment, points, runs, config, dry_run)


def _end(experiment: str, points: int, failed: dict[str, str], runs: Path) -> None:
    """The comparison, and what failed."""
    _compare(experiment, runs)
    if failed:
        listed = "\n".join(f"  {name}: {reason}" for name, reason in failed.items())
        from vlrouting.experiment.exit_status import ExitStatus

        _fail(f"{len(failed)} of {points} points failed:\n{listed}", ExitStatus.FAILED)


def _compare(experiment: str, runs: Path) -> None:
    from vlrouting.report import compare as compare_runs

    compare_runs(runs / experiment)


def _fail(message: str, status: int | None = None) -> NoReturn:
    """Print an error and exit; the default status is that of a user error."""
    from vlrouting.experiment.exit_status import ExitStatus

    # Several findings start on a line of their own, so that each begins with its file and line.
    typer.echo(f"vlrouting:{chr(10) if chr(10) in message else ' '}{message}", err=True)
    raise SystemExit(int(ExitStatus.USER_ERROR if status is None else status))


def main() -> None:
    """Entry point: a user error gets its message, no traceback; a signal its own exit status."""
    try:
        app()
    except KeyboardInterrupt:
        raise SystemExit(128 + signal.SIGINT) from None
    except Exception as error:
        # By name, because importing the classes would import torch for `--help`.
        names = {base.__name__ for base in type(error).__mro__}
        if "Cancelled" in names:
            _fail(str(error), error.exit_status)  # type: ignore[attr-defined]
        if names & {"UserError", "DataError", "BackboneError", "ArtifactError", "PredictionsError"}:
            _fail(str(error))
        raise


if __name__ == "__main__":
    main()
