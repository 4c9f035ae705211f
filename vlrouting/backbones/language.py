"""Frozen language models: any transformers model, from the hub, a local folder or an installed package."""

from __future__ import annotations

import logging
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import constants, try_to_load_from_cache
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
    GenerationConfig,
    PreTrainedModel,
)

from vlrouting.backbones.frozen import fingerprint, fixed_randomness, freeze
from vlrouting.backbones.location import (
    PACKAGE,
    BackboneError,
    gguf_problems,
    package_version,
    resolve_package_path,
)
from vlrouting.backbones.unreadable import SAFETENSORS, why_unreadable
from vlrouting.config import LanguageConfig
from vlrouting.config.tasks import LanguageKind

AUTO_CLASSES: dict[LanguageKind, Any] = {
    "encoder": AutoModel,
    "causal": AutoModelForCausalLM,
    "encoder_decoder": AutoModelForSeq2SeqLM,
}
"""`ArchitectureFacts.language` -> what loads the model."""


@dataclass(frozen=True)
class LanguageModel:
    """A frozen model with its tokenizer.

    Attributes:
        revision: what was loaded: hub commit, package version, or a fingerprint of the weights.
    """

    model: PreTrainedModel
    tokenizer: Any
    revision: str

    @property
    def width(self) -> int:
        """D."""
        return int(self.model.config.hidden_size)


def load_language_model(config: LanguageConfig, kind: LanguageKind = "encoder") -> LanguageModel:
    """The model and tokenizer of the configuration, frozen, in eval mode, without dropout.

    Args:
        config: which model.
        kind: the bare encoder, or a model with the head that predicts the next token.

    Raises:
        BackboneError: the model cannot be loaded, or is of the other kind.
    """
    source, where = source_of(config)
    options: dict[str, Any] = {"dtype": getattr(torch, config.dtype)}
    if config.attention != "auto":
        options["attn_implementation"] = config.attention
    try:
        with QuietLoading():
            model_config = AutoConfig.from_pretrained(source, **where)
            _require_kind(config.name, model_config, kind)
            without_dropout(model_config)
            tokenizer = AutoTokenizer.from_pretrained(source, **where)
            if config.weights == "random":
                with fixed_randomness():
                    model = AUTO_CLASSES[kind].from_config(model_config, **options)
            else:
                model = AUTO_CLASSES[kind].from_pretrained(source, config=model_config, **options, **where)
    except BackboneError:
        raise
    except ImportError as error:  # flash_attention_2 without its package
        raise BackboneError(f"language.attention: {config.attention}: {error}") from None
    except (OSError, ValueError, pickle.UnpicklingError, SafetensorError) as error:
        raise BackboneError(why_not_loaded(config.name, error)) from None
    if kind != "encoder":
        model.generation_config = GenerationConfig()  # only `generate:` decides how to decode, not the hub's file
    if len(tokenizer) <= len(tokenizer.all_special_tokens):  # transformers makes up an empty one for an empty folder
        raise BackboneError(f"language.name: '{config.name}' has no tokenizer; save it beside the model")
    freeze(model)
    model.config._name_or_path = config.name  # the name that the user knows, not a path of this machine
    revision = package_version(config.name) if config.name.startswith(PACKAGE) else _hub_commit(config)
    return LanguageModel(model, tokenizer, revision or f"weights {fingerprint(model)}")


def _require_kind(name: str, model_config: Any, kind: LanguageKind) -> None:
    """
    Raises:
        BackboneError: an encoder-decoder is to be loaded as something else, or something else as one.
    """
    pair = bool(getattr(model_config, "is_encoder_decoder", False))
    if pair == (kind == "encoder_decoder"):
        return
    if not pair:
        raise BackboneError(f"language.name: '{name}' is no encoder-decoder; set model.architecture: null")
    task = "" if kind == "causal" else " and a task that generates text, such as vqa_generation"
    raise BackboneError(f"language.name: '{name}' is an encoder-decoder; set model.architecture: encoder_decoder{task}")


def load_tokenizer(config: LanguageConfig) -> Any:
    """The tokenizer of the configuration alone, without the model.

    Raises:
        BackboneError: it cannot be loaded.
    """
    source, where = source_of(config)
    try:
        with QuietLoading():
            return AutoTokenizer.from_pretrained(source, **where)
    except (OSError, ValueError) as error:
        raise BackboneError(why_not_loaded(config.name, error)) from None


def source_of(config: LanguageConfig) -> tuple[str, dict[str, Any]]:
    """Where transformers finds the model, and which of its files.

    Raises:
        BackboneError: there is no such package, or the GGUF file cannot be read.
    """
    source = str(resolve_package_path(config.name)) if config.name.startswith(PACKAGE) else config.name
    # Without the second, transformers asks at the terminal whether to run the code that comes with a model.
    where: dict[str, Any] = {"revision": config.revision, "trust_remote_code": False}
    if config.gguf_file is not None:
        problems = gguf_problems(config.gguf_file)
        if problems:
            raise BackboneError(str(problems[0]))
        where["gguf_file"] = config.gguf_file
    return source, where


def _hub_commit(config: LanguageConfig) -> str | None:
    """Commit of the files in the hub's local cache; None for a folder. transformers tells it no more (5.24)."""
    if Path(config.name).is_dir():
        return None
    cached = try_to_load_from_cache(
        config.name, config.gguf_file or "config.json", constants.HF_HUB_CACHE, revision=config.revision
    )
    return Path(cached).parent.name if isinstance(cached, str) else None


def without_dropout(model_config: Any) -> None:
    """A frozen model runs in eval mode, where dropout is off. Gradient checkpointing needs training mode, so it has to
    be off there too."""
    for key, value in model_config.to_dict().items():
        if any(word in key for word in ("dropout", "pdrop", "layerdrop")) and isinstance(value, float):
            setattr(model_config, key, 0.0)


def why_not_loaded(name: str, error: Exception) -> str:
    """What is wrong with `language.name`, and what helps."""
    reason = why_unreadable(error, SAFETENSORS)
    if Path(name).is_dir() or name.startswith(PACKAGE):
        return f"language.name: the folder {name} holds no model and tokenizer that transformers can load ({reason})"
    return (
        f"language.name: '{name}' is neither a local folder nor in the hub's local cache, and the hub gave nothing "
        f"({reason[:160]}); on a machine with internet run `hf download {name}` and copy the folder here, then "
        "set language.name to it"
    )


class QuietLoading:
    """Keeps transformers' loading bars and reports off the console; a point prints its own line."""

    def __enter__(self) -> None:
        from transformers.utils import logging as transformers_logging

        self._logging = transformers_logging
        self._level = transformers_logging.get_verbosity()
        self._bars = transformers_logging.is_progress_bar_enabled()
        transformers_logging.set_verbosity(logging.ERROR)
        transformers_logging.disable_progress_bar()

    def __exit__(self, *_: object) -> None:
        self._logging.set_verbosity(self._level)
        if self._bars:
            self._logging.enable_progress_bar()


def enable_gradient_checkpointing(model: PreTrainedModel) -> None:
    """Recompute the blocks in the backward pass, in those that are in training mode."""
    enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
    enable()
