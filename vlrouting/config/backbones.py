"""The two frozen models."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from vlrouting.config.limits import LocalPath, ModelName, OneOf, Range
from vlrouting.config.problem import Problem
from vlrouting.config.transforms import TransformConfig

FEATURES = ("pooled", "tokens")
DTYPES = ("float32", "bfloat16", "float16")
WEIGHTS = ("pretrained", "random")
ATTENTION = ("auto", "eager", "sdpa", "flash_attention_2")


@dataclass
class VisionConfig:
    """The frozen vision encoder."""

    name: ModelName = "vit_base_patch16_224.orig_in21k"
    """Any timm model (`resnet101_clip.openai`); a folder (`package:MODULE/FOLDER` for one inside an installed package)
    that holds a model as timm's or transformers' hub does: config.json and model.safetensors; or a hub id with a slash,
    which is a model of transformers (`openai/clip-vit-base-patch16`; of a CLIP the vision tower is taken)."""
    weights: LocalPath = "hub"
    """`hub` (the folder's own, where `name` is one), `random`, a file, or `package:MODULE/FILE` for weights inside an
    installed package."""
    features: Annotated[str, OneOf(FEATURES)] = "pooled"
    """`pooled` (B, 1, Dv) or `tokens` (B, V, Dv)."""
    pool: list[Annotated[int, Range(least=1, most=1000)]] | None = None
    """Rows and columns to which the grid of tokens is pooled, each by the largest values (adaptive max pooling);
    VL-Adapter has [6, 6], which is 36 tokens. Default: the encoder's own grid."""
    image_size: Annotated[int, Range(least=16, most=16_384)] | None = None
    """Pixels of a side. Default: the model's own."""
    cache: bool = True
    """Compute every image's features once, and share them between the points."""
    cache_dir: LocalPath | None = None
    """Where. Default: `features/` under data.root."""
    transforms: dict[str, TransformConfig] = field(default_factory=dict)
    """Changes of the loaded model before anything is attached, in this order: name of a registered transform -> its
    keys."""

    def problems(self) -> list[Problem]:
        """What is wrong with the section, keys relative to it."""
        found = _transform_problems(self.transforms)
        if self.pool is not None and len(self.pool) != 2:
            found.append(Problem(("pool",), f"{self.pool} is not two numbers", "set it to [rows, columns]"))
        if self.pool is not None and self.features != "tokens":
            found.append(
                Problem(("pool", "features"), "only tokens are pooled to a grid", "set vision.features: tokens")
            )
        return found


@dataclass
class LanguageConfig:
    """The frozen language model."""

    name: ModelName = "roberta-base"
    """A hub id, a local folder, or `package:MODULE/FOLDER`: any transformers encoder to classify with, any causal
    language model or encoder-decoder to generate text with."""
    gguf_file: ModelName | None = None
    """Name of the GGUF file in there, where the model comes as one (needs the package gguf)."""
    revision: ModelName | None = None
    """Hub revision (branch, tag or commit). The commit that was used is recorded."""
    weights: Annotated[str, OneOf(WEIGHTS)] = "pretrained"
    """`pretrained`, or `random`: the architecture of `name` with fresh weights."""

    dtype: Annotated[str, OneOf(DTYPES)] = "float32"
    """Precision of the frozen weights: `float32`, `bfloat16` or `float16`. Trainable parameters stay in float32."""
    attention: Annotated[str, OneOf(ATTENTION)] = "auto"
    """Implementation: `auto` (transformers' choice, mostly `sdpa`), `eager`, `sdpa`, `flash_attention_2`. On a CPU,
    `eager` is the fastest for a dozen tokens in bfloat16 (benchmarks/attention.py)."""
    transforms: dict[str, TransformConfig] = field(default_factory=dict)
    """Changes of the loaded model before anything is attached, in this order: name of a registered transform -> its
    keys."""

    def problems(self) -> list[Problem]:
        """What is wrong with the section, keys relative to it."""
        return _transform_problems(self.transforms)


def _transform_problems(transforms: dict[str, TransformConfig]) -> list[Problem]:
    return [
        problem.below(f"transforms.{name}")
        for name, transform in transforms.items()
        for problem in transform.problems()
    ]
