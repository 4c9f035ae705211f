"""Tasks and architectures by name, and what checking an experiment must know of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from vlrouting.config.registry import Registry

LanguageKind = Literal["encoder", "causal", "encoder_decoder"]


@dataclass(frozen=True)
class TaskFacts:
    """What a task needs."""

    generates: bool
    """The language model generates text; else a head classifies."""
    datasets: tuple[str, ...] = ()
    """Datasets that it is for, beside those that name it among their tasks."""
    command: str = "predict"
    """The command that uses a trained artifact: `predict` (a question about an image) or `caption`."""


@dataclass(frozen=True)
class ArchitectureFacts:
    """What an architecture is for."""

    generates: bool
    """It generates text; else it classifies."""
    language: LanguageKind
    """Which class of transformers loads the language model: `encoder` (AutoModel), `causal` (AutoModelForCausalLM) or
    `encoder_decoder` (AutoModelForSeq2SeqLM). It also decides how texts to be generated become a batch."""


TASKS: Registry[TaskFacts] = Registry(
    "task",
    {
        "vqa_classification": (TaskFacts(generates=False), "vlrouting.tasks.vqa_classification:TASK"),
        "vqa_generation": (TaskFacts(generates=True), "vlrouting.tasks.text_generation:VQA_GENERATION"),
        "captioning": (
            TaskFacts(generates=True, command="caption"),
            "vlrouting.tasks.text_generation:CAPTIONING",
        ),
    },
)
"""`task` -> facts and `vlrouting.tasks.Task`."""

ARCHITECTURES: Registry[ArchitectureFacts] = Registry(
    "architecture",
    {
        "encoder_classifier": (
            ArchitectureFacts(generates=False, language="encoder"),
            "vlrouting.models.encoder_classifier:EncoderClassifier",
        ),
        "decoder": (ArchitectureFacts(generates=True, language="causal"), "vlrouting.models.decoder:Decoder"),
        "encoder_decoder": (
            ArchitectureFacts(generates=True, language="encoder_decoder"),
            "vlrouting.models.encoder_decoder:EncoderDecoder",
        ),
    },
)
"""`model.architecture` -> facts and joint model class."""
