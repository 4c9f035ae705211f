"""What every variant predicted for each test example, from predictions.jsonl."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vlrouting.experiment.errors import UserError
from vlrouting.experiment.rundir import RunDirectory
from vlrouting.report.comparison import Variant

RIGHT = 50.0
"""Least score, in percent, of an answer that counts as right: VQA accuracy gives parts of 100 too."""
KINDS = ("dataset", "answer_type", "question_type")
"""Fields of a record that a reader may filter by."""
Key = tuple[object, ...]


@dataclass(frozen=True)
class TestExample:
    """What all variants share of a test example."""

    id: object
    question: str
    """Empty for an image to describe."""
    references: tuple[str, ...]
    images: tuple[str, ...]
    kinds: dict[str, str]

    @property
    def key(self) -> Key:
        """Tells test examples apart, also those of two datasets."""
        return self.dataset, self.id, self.images

    @property
    def dataset(self) -> str:
        """Which of several datasets of a run it is of; empty where there is one."""
        return self.kinds.get("dataset", "")

    @property
    def is_question(self) -> bool:
        """Whether an output is right or wrong."""
        return bool(self.question)


@dataclass
class VariantOutputs:
    """The outputs of one variant.

    Attributes:
        label: the variant's.
        seed: of the run whose texts are shown.
        seeds: how many runs were read.
        texts: of that run.
        scores: of that run, in the unit of metrics.json; an example that is not scored has none.
        right: in how many of the runs the answer is right.
    """

    label: str
    seed: int | None
    seeds: int
    texts: dict[Key, str] = field(default_factory=dict)
    scores: dict[Key, float] = field(default_factory=dict)
    right: dict[Key, int] = field(default_factory=dict)


@dataclass
class TestOutputs:
    """All variants' outputs.

    Attributes:
        examples: in the order of the files.
        variants: those that have outputs.
        notes: what could not be read.
    """

    examples: dict[Key, TestExample] = field(default_factory=dict)
    variants: list[VariantOutputs] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_outputs(variants: Sequence[Variant]) -> TestOutputs:
    """Read the predictions of all complete runs. Texts are kept of one seed, one that all variants have if possible."""
    found = TestOutputs()
    with_runs = [variant for variant in variants if variant.runs]
    common = set[int | None]().union(*({row.seed for row in variant.runs} for variant in with_runs))
    for variant in with_runs:
        common &= {row.seed for row in variant.runs}
    for variant in with_runs:
        shown = next((row for row in variant.runs if row.seed in common), variant.runs[0])
        outputs = VariantOutputs(variant.label, shown.seed, 0)
        for row in variant.runs:
            if row.folder is None:
                continue
            try:
                _read_run(found.examples, outputs, RunDirectory(row.folder).predictions, is_shown=row is shown)
                outputs.seeds += 1
            except UserError as error:
                found.notes.append(str(error))
        if outputs.texts:
            found.variants.append(outputs)
    return found


def _read_run(examples: dict[Key, TestExample], outputs: VariantOutputs, path: Path, *, is_shown: bool) -> None:
    for record in _records(path):
        images = record.get("images") or ([record["image"]] if record.get("image") else [])
        dataset, paths = str(record.get("dataset") or ""), tuple(map(str, images))
        key = dataset, record["id"], paths
        score = record.get("score")
        if score is not None and record.get("question") and score >= RIGHT:
            outputs.right[key] = outputs.right.get(key, 0) + 1
        if not is_shown:
            continue
        outputs.texts[key] = str(record["prediction"])
        if score is not None:
            outputs.scores[key] = float(score)
        if key not in examples:
            kinds = {kind: str(record[kind]) for kind in KINDS if record.get(kind)}
            references = tuple(map(str, record.get("references") or ()))
            examples[key] = TestExample(record["id"], str(record.get("question") or ""), references, paths, kinds)


def _records(path: Path) -> Iterator[dict[str, Any]]:
    """
    Raises:
        UserError: the file is missing, or a line is no record.
    """
    remedy = "`vlrouting evaluate` writes it again"
    number = 0
    try:
        with path.open(encoding="utf-8") as file:
            for line in file:
                number += 1
                if line.strip():
                    record = json.loads(line)
                    if not isinstance(record, dict) or not {"id", "prediction"} <= record.keys():
                        raise ValueError("no record with id and prediction")
                    yield record
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror or error}); {remedy}.") from error
    except (ValueError, RecursionError) as error:
        reason = (str(error) or "nested too deeply").splitlines()[0]
        raise UserError(f"{path}: line {number} is damaged ({reason}); {remedy}.") from error
