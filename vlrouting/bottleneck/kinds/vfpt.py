"""Visual Fourier prompt tuning (VFPT, arXiv 2411.01327), and without the transform visual prompt tuning (VPT)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.hooks import RemovableHandle

from vlrouting.bottleneck.base import Bottleneck, Site
from vlrouting.bottleneck.targets import Target, match, module_names
from vlrouting.config import BottleneckConfig
from vlrouting.config.kinds.vfpt import VfptConfig

_CLASS_TOKENS = {"clip_vision_model": 1, "siglip_vision_model": 0}
"""Vision towers of transformers, by `model.config.model_type`, and the class tokens before their patches."""
_DIMENSIONS = {"hidden": (-1,), "sequence": (-2,), "both": (-2, -1)}


class VFPT(Bottleneck):
    """[c; P̂; x] in place of a block's tokens [c; x], with P (M, D) trained: c are the class and register tokens, x the
    patches.

    P̂ = [Re FFT(P_1..m); P_m+1..M], m = floor(alpha M), with the discrete Fourier transform over the hidden dimension,
    over the sequence of the m tokens, or over both, not normalised. Its real part is linear in P, but no mere change of
    basis:

    - It multiplies the standard deviation of independent values by √(m D / 2): by √(D / 2) with `transform: hidden` and
      √(m / 2) with `sequence`. With 10 tokens of ViT-B that is 62. (By √2 more at the f frequencies that are their own
      negative: 1 for an odd and 2 for an even length, multiplied over the transformed dimensions.)
    - It depends on the even part of P alone, so the rank of `both` is (m D + f) / 2: 37 of 72 for 3 tokens of width 24.
      The other directions of P have no effect on the output and no gradient.

    Deep prompts (`deep: true`) are put into every block and cut off what it returns, which equals replacing them in the
    next block. Shallow ones stay until the last block. Nothing outside of the blocks sees them, so features and their
    grid keep their shapes. Position embeddings and a norm before the blocks do not apply to them.

    Dropout is on P_1..m, before the transform, as published; with m = 0 it is on all of P, as VPT has it. Every example
    has a mask of its own. The transform is computed in float32 at least, also where the tower is in half precision.

    Step 0 is not the frozen model: the prompts are attended to from the start.

    Attributes:
        prompts: P (M, D). It starts uniform in ±√(6 / (3 p² + D)), with patches of p² pixels.
    """

    config: VfptConfig

    def __init__(self, config: VfptConfig, site: Site) -> None:
        super().__init__(config, site)
        tower = _tower_of(site.model)
        self._class_tokens = tower.class_tokens
        self.prompts = nn.Parameter(torch.empty(config.tokens, tower.width))
        bound = math.sqrt(6 / (3 * math.prod(tower.patch) + tower.width))
        nn.init.uniform_(self.prompts, -bound, bound)

    @classmethod
    def find_targets(cls, model: nn.Module, config: BottleneckConfig) -> list[Target]:
        """See `Bottleneck`. The targets are blocks. Shallow prompts have one, from the first block to the last.

        Raises:
            ValueError: the model is no Vision Transformer that is known here, or has no such block.
        """
        assert isinstance(config, VfptConfig)
        blocks = _tower_of(model).blocks
        chosen = set(module_names(model, config.layers))
        if config.targets is not None:
            chosen &= {name for pattern in config.targets for name in match(pattern, blocks)}
        if config.deep:
            return [Target(block, (block,)) for block in blocks if block in chosen]
        return [Target(blocks[0], (blocks[0], blocks[-1]))]

    def forward(self, examples: int) -> Tensor:
        """P̂ for a batch, (B, M, D)."""
        transformed, dropout = self.config.transformed, self.config.dropout
        prompts = self.prompts.to(torch.promote_types(self.prompts.dtype, torch.float32))
        dropped = transformed or len(prompts)
        first, others = prompts[:dropped], prompts[dropped:]
        if self.training and dropout:
            first = functional.dropout(first.expand(examples, -1, -1), dropout)
        if transformed:
            first = torch.fft.fftn(first, dim=_DIMENSIONS[self.config.transform]).real
        return torch.cat([each.expand(examples, -1, -1) for each in (first, others)], dim=1)

    def install(self, base_layers: Sequence[nn.Module]) -> list[RemovableHandle]:
        """Put the prompts into what the first base layer reads, and cut them off what the last one returns."""
        # Several configurations may do so on one tower. All of them cut behind the class tokens, so shallow prompts,
        # which stay where deep ones are cut off, stand behind them: they enter first, whatever was attached first.
        return [
            base_layers[0].register_forward_pre_hook(self._put_in, prepend=not self.config.deep),
            base_layers[-1].register_forward_hook(self._cut_off),
        ]

    # Methods rather than closures: a deep copy of the model then calls its own bottleneck.
    def _put_in(self, _block: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        tokens, *others = inputs  # (B, T, D), and an attention mask, which vision towers leave empty
        classes, patches = tokens[:, : self._class_tokens], tokens[:, self._class_tokens :]
        prompts = self(len(tokens)).to(tokens.dtype)
        return (torch.cat([classes, prompts, patches], dim=1), *others)

    def _cut_off(self, _block: nn.Module, _inputs: tuple[Any, ...], tokens: Tensor) -> Tensor:
        classes, patches = tokens[:, : self._class_tokens], tokens[:, self._class_tokens + len(self.prompts) :]
        return torch.cat([classes, patches], dim=1)


@dataclass(frozen=True)
class _Tower:
    """What is asked of a Vision Transformer."""

    blocks: tuple[str, ...]
    """Their names, in order."""
    class_tokens: int
    """Tokens before the patches: class and register tokens."""
    width: int
    """Hidden width D."""
    patch: tuple[int, int]
    """Pixels of a patch, (height, width)."""


def _tower_of(model: Any) -> _Tower:
    """
    Raises:
        ValueError: the model is no Vision Transformer that is known here.
    """
    if isinstance(model, VisionTransformer):
        blocks = tuple(f"blocks.{name}" for name, _ in model.blocks.named_children())
        return _Tower(blocks, model.num_prefix_tokens, model.embed_dim, model.patch_embed.patch_size)
    config: Any = getattr(model, "config", None)
    class_tokens = _CLASS_TOKENS.get(getattr(config, "model_type", ""))
    if class_tokens is None:
        raise ValueError(
            f"kind: vfpt puts trained tokens among the patches of a Vision Transformer, and {type(model).__name__} is "
            "none that it knows; choose a VisionTransformer of timm, a vision tower of CLIP or SigLIP, or another kind"
        )
    # The stack is a part of the model by itself in transformers 5.24, and inside of `vision_model` in 5.0.
    name, layers = next((n, m) for n, m in model.named_modules() if n.endswith("encoder.layers"))
    blocks = tuple(f"{name}.{number}" for number, _ in layers.named_children())
    return _Tower(blocks, class_tokens, config.hidden_size, (config.patch_size, config.patch_size))
