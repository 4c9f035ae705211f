"""The dataset: its reader, its files, its splits."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from string import Formatter
from typing import Annotated

from vlrouting.config.limits import Count, LocalPath, OneOf, Range
from vlrouting.config.problem import Problem
from vlrouting.config.registry import Registry


@dataclass(frozen=True)
class DatasetFacts:
    """What checking an experiment must know of a dataset."""

    tasks: tuple[str, ...]
    """What it can be used for."""
    metric: str
    """How its predictions are scored: a name of `METRICS`."""


DATASETS: Registry[DatasetFacts] = Registry(
    "dataset",
    {
        "vqav2": (
            DatasetFacts(("vqa_classification", "vqa_generation"), "vqa"),
            "vlrouting.data.datasets.vqav2:FORMAT",
        ),
        "coco": (DatasetFacts(("captioning",), "captions"), "vlrouting.data.datasets.coco:FORMAT"),
        "gqa": (DatasetFacts(("vqa_classification",), "gqa"), "vlrouting.data.datasets.gqa:FORMAT"),
        "nlvr2": (DatasetFacts(("vqa_classification",), "nlvr2"), "vlrouting.data.datasets.nlvr2:FORMAT"),
    },
)
"""`data.name` -> facts and `vlrouting.data.datasets.registry.DatasetFormat`."""
METRICS: Registry[None] = Registry(
    "metric",
    {
        "vqa": (None, "vlrouting.metrics.vqa_score:VQAScore"),
        "captions": (None, "vlrouting.metrics.caption_score:CaptionScore"),
        "gqa": (None, "vlrouting.metrics.gqa_score:GQAScore"),
        "nlvr2": (None, "vlrouting.metrics.nlvr2_score:NLVR2Score"),
    },
)
"""`DatasetFacts.metric` -> `vlrouting.metrics.score.Score` class."""
RECIPES = ("easy_vqa", "shapes")


@dataclass
class SplitConfig:
    """The files of one split, relative to `data.root`."""

    questions: LocalPath = ""
    """Official questions file (GQA: or the folder of its chunks; NLVR2: JSON Lines), or a per-split list (LXMERT /
    VL-T5 style) that carries `label`. Empty for captions."""
    annotations: LocalPath | None = None
    """VQAv2: official annotations file; null for a test set; a per-split list needs it only for the official metric.
    COCO captions: Karpathy's file or an official captions file. GQA: the choices file, where there is one."""
    images: LocalPath = "{subtype}/COCO_{subtype}_{image_id:012d}.jpg"
    """Path of an image; where it is not set, each dataset has its own. Placeholders: VQAv2 `{subtype}` (the file's
    data_subtype), `{image_id}`, `{img_id}` (a list's string); COCO captions `{subtype}`, `{image_id}`, `{file_name}`;
    GQA `{image_id}`; NLVR2 `{pair}`, `{side}` (0 or 1), `{split}`, `{directory}`."""


@dataclass
class DataConfig:
    """Which dataset, and where its official files lie."""

    name: Annotated[str, OneOf(DATASETS)] = "vqav2"
    """The reader: vqav2, coco (captions), gqa, nlvr2, or one that a plugin registers."""
    root: LocalPath = "data/vqav2"
    """Folder of the files below."""
    prepare: Annotated[str, OneOf(RECIPES)] | None = None
    """Recipe that makes the files when they are not there: `easy_vqa` (from the installed package), `shapes` (the
    project's own world, for every reader)."""
    train: str = "train2014"
    """Split to train on: a name of `splits`."""
    validation: str | None = None
    """Split to choose checkpoints by; null for none."""
    test: str = "val2014"
    """Split to report."""
    splits: dict[str, SplitConfig] = field(default_factory=dict)
    """Files of every split. Default: the official names of train2014 and val2014."""
    answers: LocalPath | None = None
    """Answer vocabulary under `root`: a JSON list, or a map answer -> index. Default: built from the training split."""
    min_answer_count: Count = 9
    """When the vocabulary is built: questions an answer must have."""
    prompt: str = "{text}"
    """Template of what the language model reads: `{text}` is the question, empty for captions."""
    max_text_tokens: Annotated[int, Range(least=3, most=1_000_000)] = 19
    """The prompt is cut to this many tokens, the special ones included; the image's are not counted."""
    max_target_tokens: Annotated[int, Range(least=2, most=1_000_000)] = 50
    """A target text (caption, generated answer) is cut to this many tokens, its end token included."""

    def problems(self) -> list[Problem]:
        """What is wrong with the section, keys relative to it."""
        found = _template_problems("prompt", self.prompt, ("text",), "its one placeholder is {text}")
        for name, split in self.splits.items():
            found += _template_problems(f"splits.{name}.images", split.images, None, "see its placeholders")
        return found


def _template_problems(key: str, template: str, known: tuple[str, ...] | None, remedy: str) -> list[Problem]:
    """Why a template cannot be filled in, or should not be: placeholders that read attributes, or gigabytes wide."""
    try:
        fields = [(name, spec or "") for _, name, spec, _ in Formatter().parse(template) if name is not None]
    except ValueError as error:
        return [Problem((key,), f"'{template}' is no valid template ({error})", remedy)]
    for name, spec in fields:
        wrong = name not in known if known is not None else not name.isidentifier()
        if wrong or re.search(r"[0-9]{4}|[{}]", spec):
            placeholder = f"{name}:{spec}" if spec else name
            return [Problem((key,), f"'{template}' is no valid template ({{{placeholder}}})", remedy)]
    return []
