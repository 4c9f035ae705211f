"""Every section of an experiment, as a dataclass: the field is the YAML key, its docstring the manual.

Standard library only: `vlrouting validate` reads this without torch, and a notebook may build any section by hand.
Impossible combinations are found by `problems()`, which returns sentences rather than raising, so that a user is told
of all of them at once.
"""

from vlrouting.config.backbones import LanguageConfig, VisionConfig
from vlrouting.config.bottleneck import BUILTIN_ROUTINGS, CROSS_ATTENTION, BottleneckConfig
from vlrouting.config.data import DATASETS, DataConfig, SplitConfig
from vlrouting.config.experiment import TASKS, ExperimentConfig
from vlrouting.config.training import EvaluateConfig, GenerateConfig, ModelConfig, TrainConfig

__all__ = [
    "BUILTIN_ROUTINGS",
    "CROSS_ATTENTION",
    "DATASETS",
    "TASKS",
    "BottleneckConfig",
    "DataConfig",
    "EvaluateConfig",
    "ExperimentConfig",
    "GenerateConfig",
    "LanguageConfig",
    "ModelConfig",
    "SplitConfig",
    "TrainConfig",
    "VisionConfig",
]
