"""Commands that tell what there is: list, show, explain."""

from __future__ import annotations

import shutil
import textwrap
from typing import TYPE_CHECKING, Annotated

import typer

from vlrouting.cli import completion
from vlrouting.cli.app import app
from vlrouting.cli.arguments import ExperimentName

if TYPE_CHECKING:
    from vlrouting.experiment import Experiment

NARROW = 80
"""Columns below which names and texts are printed one below the other."""
_WIDEST_SETTING = 52


@app.command("list")
def list_experiments() -> None:
    """List the experiments of the folder experiments/, each with what its file says of itself.

    \b
    vlrouting list
    """
    from vlrouting.experiment import find
    from vlrouting.experiment.catalog import catalog

    found = catalog()
    if not found:
        find("")
    _print_pairs(found)


@app.command()
def show(
    experiment: ExperimentName = "",
    rest: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[POINT] [key=value …]",
            help="A point, or overrides as for train.",
            autocompletion=completion.points_and_settings,
            show_default=False,
        ),
    ] = None,
) -> None:
    """Show the resolved configuration, and where every value comes from: default, file and line, sweep, command line.

    \b
    vlrouting show demo_vqa                      what the points share, and what differs
    vlrouting show demo_vqa routing=mul          one point
    vlrouting show demo_vqa train.lr=1e-3
    vlrouting show demo_vqa text_only > mine.yaml    the output is an experiment file
    """
    import yaml

    from vlrouting.experiment.origins import settings

    checked, names = _with_points(experiment, rest or [])
    points = [checked.point(name) for name in names] if names else list(checked.points)
    typer.echo(f"# {checked.source}" + (f", point {points[0].name}" if len(points) == 1 else f", {len(points)} points"))
    for setting in settings(checked, points):
        dumped = yaml.safe_dump(setting.value, default_flow_style=True, width=10**6, allow_unicode=True)
        line = f"{setting.key}: {dumped.removesuffix(chr(10)).removesuffix('...').strip()}"
        mark = "# tuned, one of: " if setting.tuned else "# differs: " if setting.differs else ""
        typer.echo(f"{mark}{line}".ljust(_WIDEST_SETTING) + f"  # {setting.origin}")


@app.command()
def explain(
    key: Annotated[
        str, typer.Argument(metavar="KEY", help="bottleneck.rank, or a section.", autocompletion=completion.keys)
    ] = "",
) -> None:
    """Explain a key of an experiment: what it does, its type, default and choices. Without KEY, list the sections.

    \b
    vlrouting explain bottleneck.rank
    vlrouting explain train
    vlrouting explain sweep.grid
    vlrouting explain cluster.partition          a key of experiments/cluster/*.yaml
    """
    from vlrouting.experiment.manual import explain as entry_of

    entry = entry_of(key)
    typer.echo(entry.key)
    width = max(40, min(120, _columns()))
    for paragraph in filter(None, entry.text.split("\n\n")):
        typer.echo(textwrap.fill(" ".join(paragraph.split()), width, initial_indent="  ", subsequent_indent="  "))
    for name, fact in entry.facts.items():
        typer.echo(textwrap.fill(f"{name}: {fact}", width, initial_indent="  ", subsequent_indent="    "))
    if entry.below:
        typer.echo()
        _print_pairs(entry.below)


def _with_points(name: str, rest: list[str]) -> tuple[Experiment, list[str]]:
    """The experiment, with what is no name of a point as overrides; and the names."""
    from vlrouting.config import ExperimentConfig
    from vlrouting.config.fit import hints_of
    from vlrouting.experiment import UserError, load
    from vlrouting.experiment.schema import FILE_KEYS

    try:
        known = {point.name for point in load(name).points}
    except UserError:  # it may need the overrides
        known = set()
    sections = {*hints_of(ExperimentConfig), *FILE_KEYS}
    keys = {word: word.partition("=")[0] for word in rest}
    names = [word for word, key in keys.items() if word in known or ("." not in key and key not in sections)]
    return load(name, [word for word in rest if word not in names]), names


def _columns() -> int:
    return shutil.get_terminal_size().columns


def _print_pairs(pairs: dict[str, str]) -> None:
    """A table of two columns; in a narrow terminal, each text below its name."""
    columns = _columns()
    left = max(map(len, pairs)) + 2
    for name, text in pairs.items():
        if columns < max(NARROW, left + 40):
            typer.echo(name)
            typer.echo(textwrap.indent(textwrap.fill(text, max(20, columns - 2)), "  "), nl=bool(text))
        else:
            filled = textwrap.wrap(text, columns - left) or [""]
            typer.echo(f"{name:{left}}{filled[0]}".rstrip())
            for line in filled[1:]:
                typer.echo(" " * left + line)
