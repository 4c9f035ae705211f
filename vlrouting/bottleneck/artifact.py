"""What training produced and nothing else: the trained tensors in safetensors, and the configuration to use them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from vlrouting.config import KINDS
from vlrouting.config.bottleneck import LAYER_NORMS
from vlrouting.config.experiment import SINGLE

SCHEMA_VERSION = 2
"""Version 2 says which targets were adapted. Version 1 is still read (see `_from_version_1`)."""
CONFIG_FILE = "adapter_config.json"
TENSOR_FILE = "adapter_model.safetensors"


class ArtifactError(ValueError):
    """An artifact that cannot be used: what is wrong with which file."""


def trained_tensors(module: nn.Module) -> dict[str, Tensor]:
    """Name -> tensor of everything that comes from the training data: the trainable parameters, and the buffers of
    modules that say `measured = True`, such as statistics of the training images."""
    found = {name: parameter.data for name, parameter in module.named_parameters() if parameter.requires_grad}
    for name, child in module.named_modules():
        if getattr(child, "measured", False):
            found |= {f"{name}.{key}": buffer for key, buffer in child.named_buffers(recurse=False)}
    return found


@torch.no_grad()
def load_trained_tensors(module: nn.Module, tensors: Mapping[str, Tensor], source: str) -> None:
    """Copy `tensors` into the module's `trained_tensors`; nothing is changed unless all of them fit.

    Raises:
        ArtifactError: a key is missing or unexpected, or a shape differs; the message names them and `source`.
    """
    wanted = trained_tensors(module)
    problems = _listed("missing", wanted.keys() - tensors.keys()) + _listed(
        "unexpected", tensors.keys() - wanted.keys()
    )
    for name in wanted.keys() & tensors.keys():
        if wanted[name].shape != tensors[name].shape:
            problems.append(f"{name} is {tuple(tensors[name].shape)}, the model has {tuple(wanted[name].shape)}")
    if problems:
        raise ArtifactError(f"{source} does not fit this model: {'; '.join(problems)}")
    for name, tensor in wanted.items():
        tensor.copy_(tensors[name])


def _listed(what: str, keys: Iterable[str]) -> list[str]:
    names = sorted(keys)
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return [f"{what} {', '.join(names[:3])}{more}"] if names else []


def write_artifact(directory: Path, module: nn.Module, config: Mapping[str, Any]) -> None:
    """Write the trained tensors of `module` and `config`; each file appears whole or not at all."""
    directory.mkdir(parents=True, exist_ok=True)
    temporary = directory / f"{TENSOR_FILE}.tmp"
    temporary.write_bytes(save({name: tensor.cpu().contiguous() for name, tensor in trained_tensors(module).items()}))
    os.replace(temporary, directory / TENSOR_FILE)
    temporary = directory / f"{CONFIG_FILE}.tmp"
    temporary.write_text(json.dumps({"schema_version": SCHEMA_VERSION, **config}, indent=2) + "\n")
    os.replace(temporary, directory / CONFIG_FILE)


def read_artifact(directory: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """(configuration, tensors) of an artifact.

    Raises:
        ArtifactError: a file is missing, damaged, or of another schema version.
    """
    config_file, tensor_file = Path(directory) / CONFIG_FILE, Path(directory) / TENSOR_FILE
    for file in (config_file, tensor_file):
        if not file.is_file():
            raise ArtifactError(f"{file}: no such file; an artifact is a folder with {CONFIG_FILE} and {TENSOR_FILE}")
    try:
        config = json.loads(config_file.read_text())
        tensors = load_file(tensor_file)
    except (json.JSONDecodeError, UnicodeDecodeError, SafetensorError) as error:
        raise ArtifactError(
            f"{directory}: damaged artifact ({error}); train the point again or copy it again"
        ) from None
    version = config.get("schema_version")
    if version == 1:
        return _from_version_1(config), tensors
    if version != SCHEMA_VERSION:
        raise ArtifactError(f"{config_file}: schema_version {version}, this version reads 1 and {SCHEMA_VERSION}")
    return config, tensors


def _from_version_1(config: dict[str, Any]) -> dict[str, Any]:
    """The configuration as version 2 has it. Version 1 had one bottleneck, with the keys of all kinds."""
    if "bottleneck" not in config:
        return config
    keys = dict(config["bottleneck"])
    norms = keys.pop("train_layer_norm", True)
    known = {field.name for field in fields(KINDS.facts(keys["kind"]))}
    bottleneck = {key: value for key, value in keys.items() if key in known}
    return {**config, "bottlenecks": {SINGLE: bottleneck}, "unfreeze": [LAYER_NORMS] if norms else []}
