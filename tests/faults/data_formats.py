"""The official formats in miniature: a few records of the shapes world each, and everything a run does with a split."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.data.datasets.official_files import list_records
from vlrouting.config import DATASETS, METRICS, DataConfig, EvaluateConfig, SplitConfig
from vlrouting.data.datasets.read import read_splits
from vlrouting.data.example import Example
from vlrouting.data.loading.vocabulary import AnswerVocabulary

IMAGES = 3
"""Images of each file."""


@dataclass(repr=False)
class Format:
    """A split in one format: its documents, what they are read as, and where a document's records are."""

    dataset: str
    split: SplitConfig
    documents: dict[str, Any]
    """File name -> content; of JSON Lines the list of the records."""
    split_name: str = "test"
    answers: str | None = None

    def write(self, root: Path, edited: str = "", content: bytes = b"") -> None:
        """Write the files, one of them with other bytes."""
        for name in self.documents:
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if name == edited else self.bytes_of(name))

    def bytes_of(self, name: str) -> bytes:
        """A document as a file."""
        return serialized(self.documents[name], lines=self.dataset == "nlvr2")

    def use(self, root: Path, results: Path) -> list[Example]:
        """Read the split, build its vocabulary, score its own answers and write the server's file."""
        name = self.split_name
        data = DataConfig(
            self.dataset, str(root), train=name, test=name, splits={name: self.split}, answers=self.answers
        )
        examples = read_splits(data, images=False)[name]
        score = METRICS.load(DATASETS.facts(self.dataset).metric("vqa_classification"))(examples, EvaluateConfig())
        if self.dataset != "coco":
            AnswerVocabulary.of(data, examples) if self.answers else None
            score.compute({example.id: example.answer or "yes" for example in examples})
        score.write_results(
            results / score.results_file, {example.id: example.answer or "true" for example in examples}
        )
        return list(examples)


def serialized(document: Any, lines: bool) -> bytes:
    """A document's bytes: JSON, or JSON Lines."""
    parts = document if lines and isinstance(document, list) else [document]
    return "".join(json.dumps(part) + "\n" * lines for part in parts).encode()


def formats(world: Path) -> dict[str, Format]:
    """All formats, with records of the test split of the shapes world."""

    def load(name: str) -> Any:
        return json.loads((world / name).read_text())

    questions, annotations, captions = (
        load("questions_test.json"),
        load("annotations_test.json"),
        load("captions_test.json"),
    )
    kept = {record["id"] for record in captions["images"][:IMAGES]}
    for content, key in ((questions, "questions"), (annotations, "annotations"), (captions, "annotations")):
        content[key] = [record for record in content[key] if record["image_id"] in kept][:12]
    captions["images"] = [record for record in captions["images"] if record["id"] in kept]
    captions["images"] = [
        r for r in captions["images"] if any(c["image_id"] == r["id"] for c in captions["annotations"])
    ]
    karpathy = load("dataset_coco.json")
    karpathy["images"] = [record for record in karpathy["images"] if record["split"] == "test"][:IMAGES]
    gqa = dict(list(load("gqa/test_all_questions.json").items())[:6])
    choices = {key: value for key, value in load("gqa/test_choices.json").items() if key in gqa}
    pairs = [json.loads(line) for line in (world / "nlvr2/test.json").read_text().splitlines()[:8]]
    image = "images/test/{image_id}.png"
    return {
        "vqav2": Format("vqav2", SplitConfig("q.json", "a.json", image), {"q.json": questions, "a.json": annotations}),
        "list": Format(
            "vqav2",
            SplitConfig("list.json"),
            {"list.json": list_records("val2014", 2), "answers.json": ["", "yes", "no", "red", "2"]},
            answers="answers.json",
        ),
        "karpathy": Format("coco", SplitConfig(annotations="k.json"), {"k.json": karpathy}),
        "captions": Format("coco", SplitConfig(annotations="c.json", images="{file_name}"), {"c.json": captions}),
        "gqa": Format("gqa", SplitConfig("g.json", "choices.json", image), {"g.json": gqa, "choices.json": choices}),
        "nlvr2": Format("nlvr2", SplitConfig("n.json", images="{pair}-img{side}.png"), {"n.json": pairs}),
    }


def places(document: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value in a document, its own included."""
    yield path
    entries = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    for key, value in entries:
        yield from places(value, (*path, key))


def replaced(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    """A copy of the document with another value at a path."""
    if not path:
        return value
    changed = dict(document) if isinstance(document, dict) else list(document)
    changed[path[0]] = replaced(document[path[0]], path[1:], value)
    return changed
