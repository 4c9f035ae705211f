"""Writes an experiment as a stranger reads it: every setting with its reason, and the alternatives in comments."""

from __future__ import annotations

import shlex

from vlrouting.config.names import counted, printable
from vlrouting.experiment.references import escaped
from vlrouting.starter.plan import CAPTIONING, CLASSIFICATION, GENERATION, Plan
from vlrouting.starter.table import TRAIN, Table

MOST_SCORED = 2000
"""Test rows; of more, so many are scored."""
_TASKS = {
    CLASSIFICATION: (
        "The answer is one of those of the training split ({reason}).",
        "To generate it word by word instead: vlrouting init {root} --task vqa_generation --force",
    ),
    GENERATION: (
        "The answer is generated word by word ({reason}).",
        "To choose it among known answers instead: vlrouting init {root} --task vqa_classification --force",
    ),
    CAPTIONING: ("A caption is generated for each picture ({reason}).",),
}
_RATES = {False: ("1.0e-3", "[3.0e-4, 1.0e-3, 3.0e-3]"), True: ("4.0e-3", "[1.0e-3, 4.0e-3, 1.0e-2]")}
"""Whether the built-in GPT-2 generates -> learning rate, and those to tune among."""
_HUB_RATES = ("3.0e-4", "[1.0e-4, 3.0e-4, 1.0e-3]")


def experiment_text(table: Table, plan: Plan, command_name: str) -> str:
    """The YAML of an experiment.

    Args:
        table: what is trained on.
        plan: what was decided.
        command_name: what `vlrouting train` is given: a name, or a path.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined  # the command line does without it

    environment = Environment(
        loader=PackageLoader("vlrouting.starter", "."),
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["yaml"] = _yaml
    generates = plan.task != CLASSIFICATION
    lr, rates = _HUB_RATES if plan.language else _RATES[generates]
    rows = table.findings.splits[TRAIN].rows
    passes = plan.steps * plan.batch_size / rows
    return environment.get_template("experiment.yaml.j2").render(
        plan=plan,
        about=_about(table, plan),
        kind_title="adapters" if generates else "LoRA",
        command_name=command_name,
        task_comment=[
            line.format(reason=plan.reason, root=printable(shlex.quote(str(table.root)))) for line in _TASKS[plan.task]
        ],
        root=table.root,
        validation=table.validation,
        test=table.test,
        made_splits=table.made_splits,
        lr=lr,
        rates=rates,
        steps_comment=f"passes over {counted(rows, 'training row')}: {passes:.{0 if passes >= 1 else 2}f}",
        limit=MOST_SCORED if table.findings.splits[table.test].rows > MOST_SCORED else None,
    )


def _about(table: Table, plan: Plan) -> str:
    pictures = "pairs of pictures" if table.findings.images_per_row > 1 else "pictures"
    what = "Captions of" if plan.task == CAPTIONING else "Questions about"
    return f"{what} the {pictures} in {printable(str(table.root))}"


def _yaml(value: object) -> str:
    """A text or a path as one YAML value that reads as it is."""
    import yaml

    text: str = yaml.safe_dump(escaped(str(value)), default_flow_style=True, width=10**6, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("...").strip()
