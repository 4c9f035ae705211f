"""One point of an experiment: all sections, and what cannot go together."""

from __future__ import annotations

from dataclasses import dataclass, field

from vlrouting.config.backbones import LanguageConfig, VisionConfig
from vlrouting.config.bottleneck import BUILTIN_ROUTINGS, BottleneckConfig
from vlrouting.config.checks import at_least, one_of
from vlrouting.config.data import DATASETS, DataConfig
from vlrouting.config.training import EvaluateConfig, GenerateConfig, ModelConfig, TrainConfig

TASKS = ("vqa_classification", "vqa_generation", "captioning")
WRITING_TASKS = ("vqa_generation", "captioning")
"""Tasks whose language model writes text, token after token."""


@dataclass
class ExperimentConfig:
    """One point of an experiment: everything that is needed to run it."""

    seed: int = 42
    """Seed of initialisation, data order and noise."""
    task: str = "vqa_classification"
    """What is trained: `vqa_classification` (a head over an answer vocabulary), `vqa_generation` (the answer is written
    after the question) or `captioning`."""
    plugins: list[str] = field(default_factory=list)
    """Modules to import first; a place for `@register_routing` and `register_dataset`."""
    data: DataConfig = field(default_factory=DataConfig)
    vision: VisionConfig = field(default_factory=VisionConfig)
    language: LanguageConfig = field(default_factory=LanguageConfig)
    bottleneck: BottleneckConfig = field(default_factory=BottleneckConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    generate: GenerateConfig = field(default_factory=GenerateConfig)
    evaluate: EvaluateConfig = field(default_factory=EvaluateConfig)

    @property
    def writes(self) -> bool:
        """Whether the language model writes text; else a head classifies."""
        return self.task in WRITING_TASKS

    def problems(self, known_routings: tuple[str, ...] = BUILTIN_ROUTINGS) -> list[str]:
        """Sentences `section.key: what is wrong` of every section and of combinations between sections."""
        found = one_of("task", self.task, TASKS) + at_least("seed", self.seed, 0)
        if self.seed >= 2**32:
            found.append(f"seed: {self.seed} does not fit into 32 bits")
        found += [f"bottleneck.{p}" for p in self.bottleneck.problems(known_routings)]
        for name in ("data", "vision", "language", "model", "train", "generate", "evaluate"):
            found += [f"{name}.{problem}" for problem in getattr(self, name).problems()]
        if self.model.visual_input == "none" and self.bottleneck.routed:
            found.append("model.visual_input: none leaves the routing nothing to look at; set bottleneck.routing: none")
        if self.model.standardize_visual and not self.vision.cache:
            found.append("model.standardize_visual: measures the cached features; set vision.cache: true")
        if self.evaluate.checkpoint == "best" and self.data.validation is None:
            found.append("evaluate.checkpoint: best needs a validation split; set data.validation")
        if self.task in TASKS and self.task not in DATASETS.get(self.data.name, TASKS):
            fit = ", ".join(name for name, tasks in DATASETS.items() if self.task in tasks)
            found.append(f"task, data.name: {self.task} is for {fit}, not for {self.data.name}")
        if self.writes and self.bottleneck.routing == "self":
            found.append(
                f"bottleneck.routing: self sums over all tokens, also those to come, so it cannot go with {self.task}; "
                "choose another"
            )
        return found
