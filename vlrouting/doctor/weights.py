"""The backbones: on this machine, in the hub's local cache, or on the hub."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vlrouting.backbones.location import (
    PACKAGE,
    BackboneError,
    is_transformers_model,
    missing_backbones,
    resolve_package_path,
)
from vlrouting.config import ExperimentConfig, LanguageConfig
from vlrouting.config.finding import FAULT, OK, WARNING, Finding, fault
from vlrouting.config.names import nearest_names
from vlrouting.doctor.subject import RunContext

PLACE = "weights"
HUB_SECONDS = 10
"""That the hub has to answer."""
_WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")
_TOKENIZERS = (
    *("tokenizer.json", "tokenizer_config.json", "vocab.json", "vocab.txt", "tokenizer.model", "spiece.model"),
    "sentencepiece.bpe.model",
)


@dataclass(frozen=True)
class Source:
    """Where one backbone comes from."""

    key: str
    """In the configuration."""
    name: str
    """A hub repository, or what the configuration says of a folder."""
    needed: tuple[tuple[str, ...], ...]
    """Of each of these sets of files, one."""
    folder: Path | None = None
    """None for the hub."""
    revision: str | None = None


def weights(config: ExperimentConfig, context: RunContext) -> Iterator[Finding]:
    """Both backbones can be loaded, as far as their files tell."""
    problems = missing_backbones(config)
    yield from (fault(PLACE, problem) for problem in problems)
    language = language_source(config.language)
    if not any(problem.keys[0].startswith("language.") for problem in problems):
        yield from context.once(language, lambda: list(_check_source(language, context)))
    if config.model.visual_input == "none" or any(problem.keys[0].startswith("vision.") for problem in problems):
        return
    vision = context.once(("vision", repr(config.vision)), lambda: vision_source(config))
    if isinstance(vision, Finding):
        yield vision
    else:
        yield from context.once(vision, lambda: list(_check_source(vision, context)))


def language_source(language: LanguageConfig) -> Source:
    """Where the language model comes from."""
    random = language.weights == "random"
    file = (language.gguf_file,) if language.gguf_file is not None else _WEIGHTS
    # A GGUF file holds the configuration and the tokenizer too.
    beside = () if language.gguf_file is not None else (("config.json",), _TOKENIZERS)
    needed = beside if random and beside else (*beside, file)
    return Source("language.name", language.name, needed, _folder(language.name), language.revision)


def vision_source(config: ExperimentConfig) -> Source | Finding:
    """Where the vision encoder's weights come from, or why timm has no such model."""
    import timm

    vision = config.vision
    folder = _folder(vision.name)
    if folder is not None:
        weights = ((_WEIGHTS[0], _WEIGHTS[2]),) if vision.weights == "hub" else ()
        return Source("vision.name", vision.name, (("config.json",), *weights), folder)
    if is_transformers_model(vision.name):
        needed = (("config.json",), ("preprocessor_config.json",), *((_WEIGHTS,) if vision.weights == "hub" else ()))
        return Source("vision.name", vision.name, needed)
    base = vision.name.split(".")[0]
    if not timm.is_model(base):
        near = ", ".join(nearest_names(base, timm.list_models(), 3)) or "none"
        return Finding(FAULT, PLACE, f"vision.name: timm has no model '{vision.name}'", f"near names: {near}")
    if vision.weights != "hub":
        return Finding(OK, PLACE, f"vision.name: {vision.name} with weights: {vision.weights}")
    try:
        card = timm.get_pretrained_cfg(vision.name)
    except RuntimeError as error:
        tags = ", ".join(timm.list_pretrained(f"{base}.*")) or "none"
        return Finding(FAULT, PLACE, f"vision.name: {error}", f"choose one of: {tags}")
    if card is None or not card.has_weights:
        remedy = "choose another model, or set vision.weights to random or to a file"
        return Finding(FAULT, PLACE, f"vision.name: timm has no weights of '{vision.name}'", remedy)
    files = tuple(name for name in (_WEIGHTS[0], _WEIGHTS[2], card.hf_hub_filename) if name)
    return Source("vision.name", card.hf_hub_id or vision.name, (files,))


def hub_cached(source: Source) -> bool:
    """Whether all that is needed of a hub's repository is in its local cache."""
    return all(any(_cached(source, name) for name in names) for names in source.needed)


def _folder(name: str) -> Path | None:
    if name.startswith(PACKAGE):
        try:
            return resolve_package_path(name)
        except BackboneError:
            return None
    return Path(name) if Path(name).is_dir() else None


def _check_source(source: Source, context: RunContext) -> Iterator[Finding]:
    if source.folder is None:
        yield _check_hub(source, context)
        return
    faults = []
    for names in source.needed:
        present = [source.folder / name for name in names if (source.folder / name).is_file()]
        if not present:
            found = f"{source.key}: {source.folder} has none of {', '.join(names)}"
            faults.append(Finding(FAULT, PLACE, found, "copy the whole folder of the model again"))
        elif problem := _safetensors_problem(present[0]):
            faults.append(Finding(FAULT, PLACE, f"{source.key}: {present[0]}: {problem}", "copy the file again"))
    yield from faults or [Finding(OK, PLACE, f"{source.key}: {source.name} is here")]


def _safetensors_problem(file: Path) -> str | None:
    """What is wrong with the header of a safetensors file, or with its length."""
    from safetensors import SafetensorError, safe_open

    if file.suffix != ".safetensors":
        return None
    try:
        with safe_open(file, framework="np"):
            return None
    except (SafetensorError, OSError) as error:
        return f"cut short or damaged ({error})"


def _check_hub(source: Source, context: RunContext) -> Finding:
    from huggingface_hub import constants

    named = f"{source.key}: {source.name}"
    if hub_cached(source):
        return Finding(OK, PLACE, f"{named} is in the hub's local cache")
    fetch = f"`hf download {source.name}`" + (f" --revision {source.revision}" if source.revision else "")
    if constants.is_offline_mode():
        found = f"{named} is not in the hub's local cache ({constants.HF_HUB_CACHE}), and HF_HUB_OFFLINE is set"
        return Finding(FAULT, PLACE, found, f"unset HF_HUB_OFFLINE and run {fetch} where there is internet")
    problem = _hub_problem(source)
    if problem is not None:
        remedy = f"correct the name, or run {fetch} where there is internet and copy the hub's cache here"
        found = f"{named} is neither in the hub's local cache, nor does the hub give it ({problem})"
        return Finding(FAULT, PLACE, found, remedy)
    if context.elsewhere:
        found = f"{named} is not in the hub's local cache, and the nodes may have no internet"
        return Finding(WARNING, PLACE, found, f"fetch it now: {fetch}")
    return Finding(OK, PLACE, f"{named} will be fetched from the hub")


def _cached(source: Source, name: str) -> bool:
    from huggingface_hub import constants, try_to_load_from_cache

    def there(file: str) -> str | None:
        found = try_to_load_from_cache(source.name, file, constants.HF_HUB_CACHE, source.revision)
        return found if isinstance(found, str) else None

    found = there(name)
    if found is None or not name.endswith(".index.json"):
        return found is not None
    parts = set(json.loads(Path(found).read_text(encoding="utf-8"))["weight_map"].values())
    return all(there(part) is not None for part in parts)


def _hub_problem(source: Source) -> str | None:
    """Why the hub does not give a repository; None when it does."""
    from huggingface_hub import HfApi, constants

    try:
        HfApi(endpoint=constants.ENDPOINT).model_info(source.name, revision=source.revision, timeout=HUB_SECONDS)
    except Exception as error:  # of the hub's own classes, of its HTTP client, or of a name that is none
        lines = [line for line in str(error).splitlines() if line.strip()]
        return f"{type(error).__name__}: {lines[0][:120] if lines else ''}"
    return None
