"""What training produced and nothing else: the trained tensors in safetensors, and the configuration to use them."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from vlrouting.bottleneck.base import Bottleneck
from vlrouting.bottleneck.fingerprint import other_weights
from vlrouting.bottleneck.stored_fields import OF_A_JOINT_MODEL, OF_BOTTLENECKS, objection, shown
from vlrouting.config import KINDS
from vlrouting.config.bottleneck import LAYER_NORMS
from vlrouting.config.experiment import SINGLE

SCHEMA_VERSION = 2
"""Version 2 says which targets were adapted. Version 1 is still read (see `_from_version_1`)."""
CONFIG_FILE = "adapter_config.json"
TENSOR_FILE = "adapter_model.safetensors"
REMEDY = "train the point again or copy the artifact again"


class ArtifactError(ValueError):
    """An artifact that cannot be used: what is wrong with which file."""


def trained_tensors(module: nn.Module) -> dict[str, Tensor]:
    """Name -> tensor of everything that comes from the training data: the bottlenecks, also where a part of them does
    not train, the other trainable parameters, and the buffers of modules that say `measured = True`, such as statistics
    of the training images."""
    bottlenecks = [child for child in module.modules() if isinstance(child, Bottleneck)]
    own = {id(parameter) for bottleneck in bottlenecks for parameter in bottleneck.parameters()}
    # A parameter that several bottlenecks share appears once, under the name that it has in the first of them.
    found = {name: p.data for name, p in module.named_parameters() if p.requires_grad or id(p) in own}
    return found | measured_buffers(module)


def measured_buffers(module: nn.Module) -> dict[str, Tensor]:
    """Name -> buffer of the modules inside that say `measured = True`."""
    measuring = [(name, child) for name, child in module.named_modules() if getattr(child, "measured", False)]
    return {f"{name}.{key}": buffer for name, child in measuring for key, buffer in child.named_buffers(recurse=False)}


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
    shapes = [(name, tuple(tensors[name].shape), tuple(wanted[name].shape)) for name in wanted.keys() & tensors.keys()]
    differing = sorted(shape for shape in shapes if shape[1] != shape[2])
    problems += [f"{name} is {stored}, the model has {own}" for name, stored, own in differing[:3]]
    if len(differing) > 3:
        problems.append(f"{len(differing) - 3} more shapes differ")
    if problems:
        raise ArtifactError(f"{source} does not fit this model: {'; '.join(problems)}")
    for name, tensor in wanted.items():
        tensor.copy_(tensors[name])


def require_same_weights(stored: Mapping[str, Any], found: Mapping[str, Any], source: str) -> None:
    """Compare the frozen weights that an artifact was trained on with those of the models at hand.

    Args:
        stored: `backbone` and `vision` of adapter_config.json; where one has no fingerprint, as in older artifacts, all
            weights pass.
        found: the same of the models.
        source: the artifact.

    Raises:
        ArtifactError: they are others; the message names both models.
    """
    for tower in ("backbone", "vision"):
        old, new = stored.get(tower) or {}, found.get(tower) or {}
        if other_weights(old.get("fingerprint"), new.get("fingerprint") or {}):
            was, now = (f"'{each['name']}' (revision {each.get('revision') or 'unknown'})" for each in (old, new))
            raise ArtifactError(
                f"{source}: trained on {was}, and the frozen weights of {now} are not the same; "
                "use the model that it was trained on"
            )


def _listed(what: str, keys: Iterable[str]) -> list[str]:
    names = sorted(keys)
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return [f"{what} {', '.join(names[:3])}{more}"] if names else []


def write_artifact(directory: Path, module: nn.Module, config: Mapping[str, Any]) -> None:
    """Write the trained tensors of `module` and `config`; each file appears whole or not at all.

    Raises:
        ValueError: a tensor holds NaN or an infinity; nothing is written.
        OSError: the disk is full or the folder is read-only.
    """
    tensors = {name: tensor.cpu().contiguous() for name, tensor in trained_tensors(module).items()}
    if bad := not_finite(tensors):
        raise ValueError(f"{directory}: not written, because {bad} after the training")
    content = save(tensors)
    directory.mkdir(parents=True, exist_ok=True)
    record = {"schema_version": SCHEMA_VERSION, "tensors_sha256": hashlib.sha256(content).hexdigest(), **config}
    _replace(directory / TENSOR_FILE, content)
    _replace(directory / CONFIG_FILE, (json.dumps(record, indent=2) + "\n").encode())


def _replace(file: Path, content: bytes) -> None:
    temporary = file.with_name(f"{file.name}.tmp")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, file)
    finally:
        temporary.unlink(missing_ok=True)


def not_finite(tensors: Mapping[str, Tensor]) -> str:
    """`head.0.weight holds NaN or an infinity` of the first such tensor, with the number of others; empty if none."""
    names = [name for name, tensor in tensors.items() if not bool(torch.isfinite(tensor).all())]
    more = f" (and {len(names) - 1} more of {len(tensors)})" if len(names) > 1 else ""
    return f"{names[0]}{more} holds NaN or an infinity" if names else ""


def read_artifact(directory: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """(configuration, tensors) of an artifact. The fields of the configuration have the types of `stored_fields`.

    Raises:
        ArtifactError: a file is missing, damaged, or of another schema version; or a tensor holds NaN or an infinity.
    """
    config_file, tensor_file = Path(directory) / CONFIG_FILE, Path(directory) / TENSOR_FILE
    for file in (config_file, tensor_file):
        if not file.is_file():
            raise ArtifactError(f"{file}: no such file; an artifact is a folder with {CONFIG_FILE} and {TENSOR_FILE}")
    try:
        config = _read_config(config_file)
        if config.get("tensors_sha256") not in (None, _sha256(tensor_file)):
            raise ArtifactError(
                f"{tensor_file}: damaged artifact (its checksum is not the one in {CONFIG_FILE}); {REMEDY}"
            )
        tensors = load_file(tensor_file)
    except SafetensorError as error:
        raise ArtifactError(f"{tensor_file}: damaged artifact ({error}); {REMEDY}") from None
    except OSError as error:
        raise ArtifactError(f"{error.filename or directory}: cannot be read ({error.strerror or error})") from None
    if bad := not_finite(tensors):
        raise ArtifactError(f"{tensor_file}: {bad}, so its training failed; train the point again")
    return config, tensors


def _sha256(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as opened:
        while part := opened.read(1 << 20):
            digest.update(part)
    return digest.hexdigest()


def _read_config(file: Path) -> dict[str, Any]:
    """adapter_config.json as version 2 has it."""
    config: Any
    try:
        config = json.loads(file.read_bytes().decode())
    except (ValueError, RecursionError) as error:  # no JSON, not UTF-8, too many digits, too many levels
        raise ArtifactError(f"{file}: damaged artifact ({str(error).splitlines()[0]}); {REMEDY}") from None
    if not isinstance(config, dict):
        raise ArtifactError(f"{file}: expected an object, got {shown(config)}; {REMEDY}")
    version = config.get("schema_version")
    if isinstance(version, bool) or version not in (1, SCHEMA_VERSION):
        text = f"schema_version {shown(version)}, this version reads 1 and {SCHEMA_VERSION}"
        raise ArtifactError(f"{file}: {text}; {REMEDY}")
    if version == 1:
        config = _from_version_1(config, file)
    if text := objection(config, OF_A_JOINT_MODEL if "experiment" in config else OF_BOTTLENECKS):
        raise ArtifactError(f"{file}: {text}; {REMEDY}")
    stored: dict[str, Any] = config
    return stored


@contextmanager
def built_from(directory: Path, tensors: Mapping[str, Tensor]) -> Iterator[None]:
    """Building what an artifact describes inside the block: it must fit the model, and no tensor that is made may be
    larger than the artifact's own.

    Raises:
        ArtifactError: in place of whatever a wrong name, type or number in adapter_config.json raises.
    """
    try:
        with _NoLargerThan(max((tensor.numel() for tensor in tensors.values()), default=0)):
            yield
    except ArtifactError:
        raise
    except (ArithmeticError, AttributeError, LookupError, MemoryError, RuntimeError, TypeError, ValueError) as error:
        reason = (str(error).strip().split("\n")[0] or type(error).__name__)[:300]
        reason = reason.encode(errors="backslashreplace").decode()  # a lone surrogate cannot be printed
        remedy = "use the model that it was trained on, or copy the artifact again"
        raise ArtifactError(f"{directory} does not fit this model: {reason}; {remedy}") from error


class _NoLargerThan(TorchFunctionMode):
    """Makes no tensor with more values: a damaged number must not fill the memory before the shapes are compared."""

    def __init__(self, values: int) -> None:
        super().__init__()
        self.values = values

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function in (torch.empty, torch.zeros, torch.ones, torch.rand, torch.randn):
            shape = args[0] if args and isinstance(args[0], (tuple, list)) else args
            if math.prod(shape) > self.values:
                raise ValueError(f"a tensor of {tuple(shape)} is larger than those in {TENSOR_FILE}")
        return function(*args, **(kwargs or {}))


def _from_version_1(config: dict[str, Any], file: Path) -> dict[str, Any]:
    """The configuration as version 2 has it. Version 1 had one bottleneck, with the keys of all kinds."""
    if "bottleneck" not in config:
        return config
    try:
        keys = dict(config["bottleneck"])
        norms = keys.pop("train_layer_norm", True)
        known = {field.name for field in fields(KINDS.facts(keys["kind"]))}
    except (LookupError, TypeError, ValueError) as error:
        raise ArtifactError(f"{file}: 'bottleneck': damaged ({error}); {REMEDY}") from None
    bottleneck = {key: value for key, value in keys.items() if key in known}
    return {**config, "bottlenecks": {SINGLE: bottleneck}, "unfreeze": [LAYER_NORMS] if norms else []}
