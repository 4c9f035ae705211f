"""The dataset: its reader, its files, its splits."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from string import Formatter
from typing import Annotated

from vlrouting.config.limits import Count, LocalPath, OneOf, Range
from vlrouting.config.problem import Problem
from vlrouting.config.registry import Registry

Share = Annotated[float, Range(least=0, most=1)]


@dataclass(frozen=True)
class DefaultSplits:
    """The splits of an experiment that names none."""

    train: str
    validation: str | None
    test: str


@dataclass(frozen=True)
class DatasetFacts:
    """What checking an experiment must know of a dataset."""

    tasks: Mapping[str, str]
    """What it can be used for -> how its predictions are scored there: a name of `METRICS`."""
    splits: DefaultSplits = DefaultSplits("train", None, "test")
    """Values of `data.train`, `data.validation` and `data.test` where an experiment gives none."""
    min_answer_count: int = 9
    """Value of `data.min_answer_count` where an experiment gives none."""
    is_table: bool = False
    """Its files are a table of the user's own: what `data.target`, `split_seed` and `split_shares` are for."""

    def metric(self, task: str) -> str:
        """How predictions are scored: a name of `METRICS`. Of a task that names this dataset itself, the first."""
        return self.tasks.get(task) or next(iter(self.tasks.values()))


_VQA, _CAPTIONS = ("vqa_classification", "vqa_generation"), "captioning"
_OFFICIAL_2014 = DefaultSplits("train2014", None, "val2014")
DATASETS: Registry[DatasetFacts] = Registry(
    "dataset",
    {
        "vqav2": (DatasetFacts(dict.fromkeys(_VQA, "vqa"), _OFFICIAL_2014), "vlrouting.data.datasets.vqav2:FORMAT"),
        "coco": (DatasetFacts({_CAPTIONS: "captions"}, _OFFICIAL_2014), "vlrouting.data.datasets.coco:FORMAT"),
        "gqa": (
            DatasetFacts(dict.fromkeys(_VQA, "gqa"), DefaultSplits("train_balanced", None, "testdev_balanced")),
            "vlrouting.data.datasets.gqa:FORMAT",
        ),
        "nlvr2": (
            DatasetFacts(dict.fromkeys(_VQA, "nlvr2"), DefaultSplits("train", None, "test1")),
            "vlrouting.data.datasets.nlvr2:FORMAT",
        ),
        "jsonl": (
            DatasetFacts(
                {**dict.fromkeys(_VQA, "answers"), _CAPTIONS: "captions"},
                DefaultSplits("train", "val", "test"),
                min_answer_count=1,
                is_table=True,
            ),
            "vlrouting.data.datasets.table.format:table_format",
        ),
    },
)
"""`data.name` -> facts, and `vlrouting.data.datasets.format.DatasetFormat` or what makes one of a `DataConfig`."""
METRICS: Registry[None] = Registry(
    "metric",
    {
        "vqa": (None, "vlrouting.metrics.vqa_score:VQAScore"),
        "captions": (None, "vlrouting.metrics.caption_score:CaptionScore"),
        "gqa": (None, "vlrouting.metrics.gqa_score:GQAScore"),
        "nlvr2": (None, "vlrouting.metrics.nlvr2_score:NLVR2Score"),
        "answers": (None, "vlrouting.metrics.answer_score:AnswerScore"),
    },
)
"""`DatasetFacts.metric` -> `vlrouting.metrics.score.Score` class."""
RECIPES = ("easy_vqa", "shapes")
TARGETS = ("answer", "caption")


@dataclass
class SplitConfig:
    """The files of one split, relative to `data.root`."""

    questions: LocalPath = ""
    """Official questions file (GQA: or the folder of its chunks; NLVR2: JSON Lines), or a per-split list (LXMERT /
    VL-T5 style) that carries `label`. Empty for captions. jsonl: the table, or several by a pattern such as
    `data/train-*.parquet`; empty for the one that is found under `data.root`."""
    annotations: LocalPath | None = None
    """VQAv2: official annotations file; null for a test set; a per-split list needs it only for the official metric.
    COCO captions: Karpathy's file or an official captions file. GQA: the choices file, where there is one."""
    images: LocalPath = "{subtype}/COCO_{subtype}_{image_id:012d}.jpg"
    """Path of an image; where it is not set, each dataset has its own. Placeholders: VQAv2 `{subtype}` (the file's
    data_subtype), `{image_id}`, `{img_id}` (a list's string); COCO captions `{subtype}`, `{image_id}`, `{file_name}`;
    GQA `{image_id}`; NLVR2 `{pair}`, `{side}` (0 or 1), `{split}`, `{directory}`. A table (jsonl) has the paths."""


@dataclass
class SplitShares:
    """How much of a table goes into each split that is made of it."""

    train: Annotated[float, Range(above=0, most=1)] = 0.8
    """Share of the images (or groups) in the training split."""
    val: Share = 0.1
    """Share of the images (or groups) in the validation split."""
    test: Share = 0.1
    """Share of the images (or groups) in the test split."""

    def problems(self) -> list[Problem]:
        """What is wrong with the section, keys relative to it."""
        total = self.train + self.val + self.test
        if abs(total - 1) < 1e-6:
            return []
        return [Problem(("train", "val", "test"), f"the shares add up to {total:g}, not to 1", "correct one of them")]


@dataclass
class DataConfig:
    """Which dataset, and where its official files lie."""

    name: Annotated[str, OneOf(DATASETS)] = "vqav2"
    """The reader: vqav2, coco (captions), gqa, nlvr2, jsonl (your own table: JSON Lines, CSV, TSV or parquet), or one
    that a plugin registers."""
    root: LocalPath = "data/vqav2"
    """Folder of the files below."""
    prepare: Annotated[str, OneOf(RECIPES)] | None = None
    """Recipe that makes the files when they are not there: `easy_vqa` (from the installed package), `shapes` (the
    project's own world, for every reader)."""
    train: str = ""
    """Split to train on: a name of `splits`. Default: the dataset's own (vqav2 and coco train2014, gqa train_balanced,
    nlvr2 and jsonl train)."""
    validation: str | None = ""
    """Split to choose checkpoints by; null for none. Default: the dataset's own (jsonl val, the others null)."""
    test: str = ""
    """Split to report. Default: the dataset's own (vqav2 and coco val2014, gqa testdev_balanced, nlvr2 test1, jsonl
    test)."""
    splits: dict[str, SplitConfig] = field(default_factory=dict)
    """Files of every split. Default: the official names, and for jsonl the tables that are found under `root`."""
    target: Annotated[str, OneOf(TARGETS)] | None = None
    """What is learned from the rows of a jsonl table: `answer` or `caption`. Default: what the task needs."""
    split_seed: Annotated[int, Range(least=0, most=2**32 - 1)] = 0
    """Seed of the splits that are made of a jsonl table without any."""
    split_shares: SplitShares = field(default_factory=SplitShares)
    answers: LocalPath | None = None
    """Answer vocabulary under `root`: a JSON list, or a map answer -> index. Default: built from the training split."""
    min_answer_count: Count | None = None
    """When the vocabulary is built: questions an answer must have. Default: the dataset's own (jsonl 1, so that every
    answer of the training split can be predicted; the others 9, as the published answers of VQAv2)."""
    prompt: str = "{text}"
    """Template of what the language model reads: `{text}` is the question, empty for captions."""
    max_text_tokens: Annotated[int, Range(least=3, most=1_000_000)] = 19
    """The prompt is cut to this many tokens, the special ones included; the image's are not counted."""
    max_target_tokens: Annotated[int, Range(least=2, most=1_000_000)] = 50
    """A target text (caption, generated answer) is cut to this many tokens, its end token included, as are
    all special ones of an encoder-decoder."""

    sample_answers: bool = False
    """Generated answers: where several answers of a question are right, draw the target in proportion to the soft
    scores, anew in every epoch. False takes the most common answer."""

    def __post_init__(self) -> None:
        """Fills in the dataset's own defaults, so that whoever reads or stores the section has the effective values."""
        if str(self.name) not in DATASETS:  # which is reported by itself
            return
        facts = DATASETS.facts(self.name)
        self.train = facts.splits.train if self.train == "" else self.train
        self.validation = facts.splits.validation if self.validation == "" else self.validation
        self.test = facts.splits.test if self.test == "" else self.test
        self.min_answer_count = facts.min_answer_count if self.min_answer_count is None else self.min_answer_count

    def problems(self) -> list[Problem]:
        """What is wrong with the section, keys relative to it."""
        found = [problem.below("split_shares") for problem in self.split_shares.problems()]
        found += _template_problems("prompt", self.prompt, ("text",), "its one placeholder is {text}")
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
