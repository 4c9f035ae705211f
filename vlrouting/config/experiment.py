"""One point of an experiment: all sections, and what cannot go together."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import Annotated, TypeVar

from vlrouting.config.backbones import LanguageConfig, VisionConfig
from vlrouting.config.bottleneck import BottleneckConfig
from vlrouting.config.compare import CompareConfig
from vlrouting.config.data import DATASETS, DataConfig
from vlrouting.config.datasets import NamedDatasetConfig, dataset_problems, name_problems
from vlrouting.config.kinds import LoraConfig
from vlrouting.config.limits import OneOf, Range
from vlrouting.config.local_model import is_encoder_decoder
from vlrouting.config.problem import Problem
from vlrouting.config.routings import ROUTINGS
from vlrouting.config.selection import SelectConfig
from vlrouting.config.tasks import ARCHITECTURES, TASKS
from vlrouting.config.training import EvaluateConfig, GenerateConfig, ModelConfig, TrainConfig
from vlrouting.config.tuning import TunedConfig

SECTIONS = ("data", "vision", "language", "model", "train", "generate", "evaluate", "compare")
SINGLE = "bottleneck"
"""Name of the one bottleneck where `bottlenecks` is not used."""
_Data = TypeVar("_Data", bound=DataConfig)


@dataclass
class ExperimentConfig:
    """One point of an experiment: everything that is needed to run it."""

    seed: Annotated[int, Range(least=0, most=2**32 - 1)] = 42
    """Seed of initialisation, data order and noise."""
    task: Annotated[str, OneOf(TASKS)] = "vqa_classification"
    """What is trained: `vqa_classification` (a head over an answer vocabulary), `vqa_generation` (the answer is
    generated after the question), `captioning`, or a plug-in's."""
    plugins: list[str] = field(default_factory=list)
    """Modules to import first; a place for `@register_routing`, `register_kind`, `register_dataset` and the like."""
    data: DataConfig = field(default_factory=DataConfig)
    datasets: dict[str, NamedDatasetConfig] = field(default_factory=dict)
    """Several datasets by name, each with the keys of `data`; in place of it. A step takes the batch of one of them, in
    turn. The scores are `test/<name>/<metric>`, and points are compared by the mean of the datasets' main metrics."""
    vision: VisionConfig = field(default_factory=VisionConfig)
    language: LanguageConfig = field(default_factory=LanguageConfig)
    bottleneck: BottleneckConfig = field(default_factory=LoraConfig)
    """The one bottleneck. Its keys are those of its kind."""
    bottlenecks: dict[str, BottleneckConfig] = field(default_factory=dict)
    """Several bottlenecks by name, each with the keys of `bottleneck`; in place of it."""
    select: SelectConfig | None = None
    """A method that selects which base layers get the bottlenecks. Default: none, the bottlenecks' own targets."""
    model: ModelConfig = field(default_factory=ModelConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    generate: GenerateConfig = field(default_factory=GenerateConfig)
    evaluate: EvaluateConfig = field(default_factory=EvaluateConfig)
    compare: CompareConfig = field(default_factory=CompareConfig)
    tuned: TunedConfig | None = None
    """What `sweep.tune` chose for a point. Training writes it into config.yaml."""

    def __post_init__(self) -> None:
        """What is learned from a table depends on the task, so it is filled in here."""
        self.data = _with_target(self.data, self.task)  # points share the section
        self.datasets = {name: _with_target(each, each.task or self.task) for name, each in self.datasets.items()}

    @property
    def per_dataset(self) -> dict[str, ExperimentConfig]:
        """The point as each dataset has it: `data`, `task`, `generate` and `train.batch_size` of that dataset, and no
        `datasets`. Without several, the one of `data` under `data.name`."""
        if not self.datasets:
            return {self.data.name: self}
        return {name: self._for_dataset(dataset) for name, dataset in self.datasets.items()}

    def _for_dataset(self, dataset: NamedDatasetConfig) -> ExperimentConfig:
        return replace(
            self,
            data=dataset.data,
            datasets={},
            task=dataset.task or self.task,
            generate=dataset.generate or self.generate,
            train=replace(self.train, batch_size=dataset.batch_size or self.train.batch_size),
        )

    def key_of(self, dataset: str, key: str) -> str:
        """Where a value of `per_dataset[dataset]` is given: with several, `datasets.NAME.root` for `data.root`."""
        own = self.datasets.get(dataset)
        section, _, inside = key.partition(".")
        if own is None:
            return key
        if section == "data":
            return f"datasets.{dataset}.{inside}".rstrip(".")
        name = "batch_size" if key == "train.batch_size" else section
        if name in ("batch_size", "task", "generate") and getattr(own, name) is not None:
            return f"datasets.{dataset}.{key.removeprefix('train.')}"
        return key

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks of the datasets, in their order, each once."""
        return tuple(dict.fromkeys(each.task or self.task for each in self.datasets.values())) or (self.task,)

    @property
    def metric(self) -> str:
        """How predictions are scored: a name of `METRICS`. Of several datasets each has its own (`per_dataset`)."""
        return DATASETS.facts(self.data.name).metric(self.task)

    @property
    def named_bottlenecks(self) -> dict[str, BottleneckConfig]:
        """Every bottleneck by name; the single one is called `bottleneck`."""
        return self.bottlenecks or {SINGLE: self.bottleneck}

    @property
    def generates(self) -> bool:
        """Whether the language model generates text; else a head classifies. Datasets of a run agree in it."""
        return TASKS.facts(self.tasks[0]).generates

    @property
    def samples_answers(self) -> bool:
        """Whether the targets are drawn among the right answers: not for captions, each of which is a target by itself,
        and not for a head, which learns all scores."""
        return self.data.sample_answers and self.generates and TASKS.facts(self.task).command != "caption"

    @property
    def architecture(self) -> str:
        """Name of the joint model's architecture: `model.architecture`, or the first one that fits the task and the
        language model."""
        if self.model.architecture is not None:
            return self.model.architecture
        fit = [name for name in ARCHITECTURES if ARCHITECTURES.facts(name).generates == self.generates]
        pair = self.generates and is_encoder_decoder(self.language)
        of_kind = (name for name in fit if (ARCHITECTURES.facts(name).language == "encoder_decoder") == bool(pair))
        return next(of_kind, fit[0])

    def with_architecture(self) -> ExperimentConfig:
        """The point with its architecture by name, for a machine that does not know the language model yet."""
        return replace(self, model=replace(self.model, architecture=self.architecture))

    @property
    def has_prefix(self) -> bool:
        """Whether visual features stand before the text."""
        return self.model.visual_prefix and self.model.visual_input != "none"

    @property
    def uses_image(self) -> bool:
        """Whether images are opened: not for noise, ones and the text-only baseline."""
        return self.model.visual_input in ("image", "shuffled")

    @property
    def trains_vision(self) -> bool:
        """Whether anything in the vision tower trains, so that its features cannot be computed once and cached."""
        adapted = any(b.tower == "vision" and b.attaches for b in self.named_bottlenecks.values())
        return self.uses_image and adapted

    def problems(self) -> list[Problem]:
        """What cannot go together, within the sections and between them. The values themselves fit (see `fit`)."""
        sections = {name: getattr(self, name) for name in SECTIONS if name != "data" or not self.datasets}
        sections |= {f"datasets.{name}": dataset for name, dataset in self.datasets.items()}
        found = [problem.below(name) for name, section in sections.items() for problem in section.problems()]
        found += name_problems(self)
        for name, bottleneck in self.named_bottlenecks.items():
            section = f"bottlenecks.{name}" if self.bottlenecks else SINGLE
            found += [problem.below(section) for problem in bottleneck.problems()]
            found += self._with_bottleneck(section, bottleneck)
        if self.select is not None:
            found += [problem.below("select") for problem in self.select.problems()]
        return found + self._between_sections()

    def _with_bottleneck(self, section: str, bottleneck: BottleneckConfig) -> list[Problem]:
        found = []
        for key, without in bottleneck.image_keys.items() if self.model.visual_input == "none" else ():
            keys = ("model.visual_input", f"{section}.{key}")
            found.append(Problem(keys, f"none leaves the {key} no image", f"set {section}.{key}: {without}"))
        if bottleneck.tower == "vision" and not self.uses_image:
            found.append(Problem((f"{section}.tower", "model.visual_input"), "no image enters the vision tower"))
        if bottleneck.needs_prefix and not self.model.visual_prefix:
            message = f"kind: {bottleneck.kind} has weights for the image's tokens, and there are none without a prefix"
            keys = ("model.visual_prefix", f"{section}.kind")
            found.append(Problem(keys, message, "set model.visual_prefix: true"))
        for inside, routing in bottleneck.routings.items():
            if self.generates and not ROUTINGS.facts(routing).causal:
                message = f"{routing} reads later tokens too, so it cannot go with {self.tasks[0]}"
                tasks = tuple(dict.fromkeys(self.key_of(name, "task") for name in self.datasets)) or ("task",)
                found.append(Problem((f"{section}.{inside}",), message, "choose another", depends_on=tasks))
        return found

    def _between_sections(self) -> list[Problem]:
        found = []
        generates = ARCHITECTURES.facts(self.architecture).generates
        if generates != self.generates:
            message = f"{self.architecture} {'generates text' if generates else 'classifies'}, unlike {self.tasks[0]}"
            found.append(Problem(("model.architecture", "task"), message))
        found += self._with_language()
        if self.model.standardize_visual and not (self.vision.cache and not self.trains_vision):
            keys = ("model.standardize_visual", "vision.cache")
            found.append(Problem(keys, "measures the cached features", "set vision.cache: true, and train no vision"))
        for name, view in self.per_dataset.items():
            found += dataset_problems(view, partial(self.key_of, name))
        return found

    def _with_language(self) -> list[Problem]:
        """Whether the language model is of the architecture's kind, and sees the image at all."""
        found = []
        pair, wanted = is_encoder_decoder(self.language), ARCHITECTURES.facts(self.architecture).language
        if pair is not None and pair != (wanted == "encoder_decoder"):
            what = "is an encoder-decoder" if pair else "is no encoder-decoder"
            remedy = "set model.architecture: encoder_decoder and a task that generates text"
            keys = ("language.name", "model.architecture" if self.model.architecture is not None else "task")
            message = f"{self.language.name} {what}, which {self.architecture} cannot use"
            found.append(Problem(keys, message, remedy if pair else "choose another architecture"))
        routed = any(b.routed and b.tower == "language" for b in self.named_bottlenecks.values())
        if not (self.model.visual_prefix or self.model.visual_input == "none" or routed):
            keys = ("model.visual_prefix", "bottleneck.routing")
            message = "without a prefix and without routing no image reaches the language model"
            found.append(Problem(keys, message, "choose a routing, or set model.visual_input: none"))
        return found


def _with_target(data: _Data, task: str) -> _Data:
    """The section with what is learned from the rows of a table, which the task decides."""
    name, task = str(data.name), str(task)
    if data.target is not None or task not in TASKS or name not in DATASETS or not DATASETS.facts(name).is_table:
        return data
    return replace(data, target="caption" if TASKS.facts(task).command == "caption" else "answer")
