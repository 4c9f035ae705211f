"""Every section of an experiment, as a dataclass: the field is the YAML key, its docstring the manual.

Standard library only: `vlrouting validate` reads this without torch, and a notebook may build any section by hand.
The type of a field says what it may hold: `rank: Annotated[int, Range(least=1)]`. `check(section)` returns what is
wrong with the values and, by the section's own `problems()`, with combinations of them, as `Problem` objects rather
than raising, so that a user sees all of them at once.
The registries (`KINDS`, `TASKS`, …) hold what can be chosen by name, plug-ins' entries included.
"""

from vlrouting.config.backbones import LanguageConfig, VisionConfig
from vlrouting.config.bottleneck import KINDS, BottleneckConfig
from vlrouting.config.data import DATASETS, METRICS, DataConfig, DatasetFacts, DefaultSplits, SplitConfig, SplitShares
from vlrouting.config.datasets import NamedDatasetConfig
from vlrouting.config.experiment import ExperimentConfig
from vlrouting.config.fit import check
from vlrouting.config.kinds import AdapterConfig, CompacterConfig, LoraConfig, LowRankConfig, VeraConfig, VlPetConfig
from vlrouting.config.limits import Form, LocalPath, OneOf, Range
from vlrouting.config.problem import Problem
from vlrouting.config.registry import Registry
from vlrouting.config.routings import ROUTINGS, RoutingFacts
from vlrouting.config.selection import SELECTORS, SelectConfig
from vlrouting.config.selectors import AdapeftConfig, SptConfig
from vlrouting.config.tasks import ARCHITECTURES, TASKS, ArchitectureFacts, TaskFacts
from vlrouting.config.training import EarlyStoppingConfig, EvaluateConfig, GenerateConfig, ModelConfig, TrainConfig
from vlrouting.config.transforms import TRANSFORMS, TransformConfig
from vlrouting.config.tuning import TunedConfig

__all__ = [
    "ARCHITECTURES",
    "DATASETS",
    "KINDS",
    "METRICS",
    "ROUTINGS",
    "SELECTORS",
    "TASKS",
    "TRANSFORMS",
    "AdapeftConfig",
    "AdapterConfig",
    "ArchitectureFacts",
    "BottleneckConfig",
    "CompacterConfig",
    "DataConfig",
    "DatasetFacts",
    "DefaultSplits",
    "EarlyStoppingConfig",
    "EvaluateConfig",
    "ExperimentConfig",
    "Form",
    "GenerateConfig",
    "LanguageConfig",
    "LocalPath",
    "LoraConfig",
    "LowRankConfig",
    "ModelConfig",
    "NamedDatasetConfig",
    "OneOf",
    "Problem",
    "Range",
    "Registry",
    "RoutingFacts",
    "SelectConfig",
    "SplitConfig",
    "SplitShares",
    "SptConfig",
    "TaskFacts",
    "TrainConfig",
    "TransformConfig",
    "TunedConfig",
    "VeraConfig",
    "VisionConfig",
    "VlPetConfig",
    "check",
]
