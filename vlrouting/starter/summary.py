"""What `vlrouting init` says of a table and of its decisions, in a few lines."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from vlrouting.config.names import counted, listed, printable
from vlrouting.experiment import Experiment
from vlrouting.starter.plan import CAPTIONING, GENERATION, Plan
from vlrouting.starter.table import Table

_SHOWN = 3
"""Answers."""


def about_table(table: Table, plan: Plan, unused: int) -> Iterator[str]:
    """What was found, what was decided, and why; `unused` pictures of the folder are in no row."""
    found = table.findings
    pictures = "a pair of pictures each" if found.images_per_row == 2 else counted(len(found.used), "picture")
    yield f"{listed(map(str, table.files))}: {counted(found.rows, 'row')}, {pictures}"
    if unused:
        yield f"  {counted(unused, 'picture')} of the folder {'is' if unused == 1 else 'are'} in no row"
    yield f"  {_targets(table)}"
    yield f"  task: {plan.task}, because {plan.reason}"
    if table.also:
        yield f"  it has {table.also} too, which --task {GENERATION if table.captions else CAPTIONING} is for"
    made = "made by picture" if table.made_splits else "as the table has them"
    sizes = ", ".join(f"{name} {size.rows:,}" for name, size in found.splits.items())
    yield f"  splits, {made}: {sizes} rows"
    if table.validation is None:
        yield "  there is no validation split, so no learning rate can be tuned"
    if plan.cut:
        yield f"  the longest {plan.cut} are cut: the built-in GPT-2 takes few words; --language names another"


def _targets(table: Table) -> str:
    found = table.findings
    fewest, most = found.references
    each = str(most) if fewest == most else f"{fewest} to {most}"
    if table.captions:
        return f"{each} {'caption' if most == 1 else 'captions'} a row, up to {found.targets.words} words"
    top = [f"{printable(answer)} ({count:,})" for answer, count in found.answers.most_common(_SHOWN)]
    several = f" of {each} a row" if most > 1 else ""
    return f"{counted(len(found.answers), 'different answer')}{several}, most often {listed(top)}"


def next_commands(table: Table, plan: Plan, experiment: Experiment, name: str) -> Iterator[str]:
    """What to type next."""
    yield f"next:  vlrouting train {name}"
    images, question = table.example
    point = next((p.name for p in experiment.points if p.name.endswith("mul")), experiment.points[0].name)
    run, paths = f"runs/{experiment.name}/{point}", shlex.join(map(str, images))
    if plan.task == CAPTIONING:
        yield f"then:  vlrouting caption {run} {paths}"
    else:
        yield f"then:  vlrouting predict {run} {paths} {shlex.quote(printable(question))}"
