"""What a language model on this machine says of itself, read from its config.json without transformers."""

from __future__ import annotations

import importlib.util
import json
import os
from functools import lru_cache
from pathlib import Path
from typing import Any

from vlrouting.config.backbones import LanguageConfig

PACKAGE = "package:"


def is_encoder_decoder(language: LanguageConfig) -> bool | None:
    """Whether the model has an encoder and a decoder (BART, T5); None where its config.json is not on this machine."""
    file = _config_file(str(language.name), str(language.revision or "main"))
    try:
        return None if file is None else _says_encoder_decoder(file, file.stat().st_mtime_ns)
    except OSError:
        return None


@lru_cache(maxsize=256)
def _says_encoder_decoder(file: Path, _changed: int) -> bool | None:
    """None for a file that is damaged, which loading the model reports."""
    try:
        config: Any = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        return None
    if not isinstance(config, dict):
        return None
    # T5's files of some years ago do not have the key.
    return bool(config.get("is_encoder_decoder", config.get("model_type") in ("t5", "mt5", "umt5", "longt5")))


def _config_file(name: str, revision: str) -> Path | None:
    """config.json of a folder, of an installed package, or in the hub's local cache; None where there is none."""
    try:
        if name.startswith(PACKAGE):
            module, _, inside = name.removeprefix(PACKAGE).partition("/")
            spec = importlib.util.find_spec(module)
            return Path(spec.origin).parent / inside / "config.json" if spec is not None and spec.origin else None
        if Path(name).is_dir():
            return Path(name) / "config.json"
    except (ImportError, ValueError, OSError):  # no such package, or no name of a file
        return None
    return _in_hub_cache(name, revision)


def _in_hub_cache(name: str, revision: str) -> Path | None:
    """Layout: https://huggingface.co/docs/huggingface_hub/guides/manage-cache"""
    home = os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface"
    cache = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE") or Path(home) / "hub"
    repository = Path(cache).expanduser() / f"models--{name.replace('/', '--')}"
    try:
        reference = repository / "refs" / revision
        commit = reference.read_text().strip() if reference.is_file() else revision
        file = repository / "snapshots" / commit / "config.json"
        return file if file.is_file() else None
    except (OSError, ValueError):
        return None
