"""Prefix tuning (arXiv 2101.00190): trained keys and values before those of the text, in every attention layer."""

from __future__ import annotations

import copy
import inspect
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle
from transformers import AttentionInterface

from vlrouting.bottleneck.base import Bottleneck, Site, shared
from vlrouting.bottleneck.projections import projection_widths
from vlrouting.bottleneck.targets import Target, match, projection_targets
from vlrouting.config import BottleneckConfig
from vlrouting.config.kinds.prefix import PrefixConfig

IMPLEMENTATIONS = ("eager", "sdpa", "flash_attention_2", "flash_attention_3")
"""Implementations of attention whose mask is understood here."""
_START_STD = 0.02
"""Standard deviation of a prefix without MLP at the start: that of new weights in these models."""
_NAME = "vlrouting_prefix_{}"
_INTERFACE = "ALL_ATTENTION_FUNCTIONS"


class Prefix(Bottleneck):
    """softmax(Q [P_k; K]ᵀ / √d) [P_v; V] with trained P_k, P_v (P, heads · d); every query sees all of them.

    With `hidden`, [P_k; P_v] = Linear(tanh(Linear(P'))): the embedding P' (P, D) and the first Linear belong to all
    layers, the second Linear to this one.

    The prefix stands before the keys and values when attention is computed, after rotary positions and the cache. So
    the positions and the cache of the text are those of the frozen model. In the paper the prefix takes the first P
    positions; a model with trained prefix can undo that shift, a copied prefix needs positions from P on.

    Step 0 is not the frozen model: the prefix is attended to from the start.

    Attributes:
        prefix: (P, 2 · heads · d), keys then values; None with `hidden`.
    """

    config: PrefixConfig

    def __init__(self, config: PrefixConfig, site: Site) -> None:
        super().__init__(config, site)
        keys = _key_projections(site.model, None).get(site.target.name)
        if keys is None:
            raise ValueError(f"{site.target.name}: kind: prefix goes into attention modules, and this is none")
        outputs = 2 * len(keys.columns[0])
        _require_known_attention(site.target.name, site.base_layers[0])
        self.prefix: nn.Parameter | None = None
        if config.hidden is None:
            self.prefix = nn.Parameter(torch.randn(config.tokens, outputs) * _START_STD)
            return
        hidden, (width, _) = config.hidden, projection_widths(site.model.get_submodule(keys.name))
        self.embedding = shared(site.over_targets, "embedding", lambda: nn.Embedding(config.tokens, width))
        self.first = shared(site.over_targets, "first", lambda: nn.Linear(width, hidden))
        self.last = nn.Linear(hidden, outputs)

    @classmethod
    def find_targets(cls, model: nn.Module, config: BottleneckConfig) -> list[Target]:
        """See `Bottleneck`. The targets are attention modules. Default: all of them."""
        names = list(_key_projections(model, config.layers))
        if config.targets is not None:
            names = [name for name in names if any(name in match(pattern, names) for pattern in config.targets)]
        return [Target(name, (name,)) for name in names]

    def forward(self) -> Tensor:
        """Keys and values of the prefix, (P, 2 · heads · d)."""
        if self.prefix is not None:
            return self.prefix
        made: Tensor = self.last(torch.tanh(self.first(self.embedding.weight)))
        return made

    def install(self, base_layers: Sequence[nn.Module]) -> list[RemovableHandle]:
        """Let this attention module, and no other, compute with the prefix."""
        _swap_config(base_layers[0])
        return []

    def uninstall(self, base_layers: Sequence[nn.Module]) -> None:
        """See `Bottleneck`."""
        _restore_config(base_layers[0])

    def extend(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """(B, heads, T, d) each -> (B, heads, P + T, d)."""
        heads, width = key.shape[1], key.shape[3]
        both = self().to(key.dtype).view(self.config.tokens, 2, heads, width).permute(1, 2, 0, 3)  # (2, heads, P, d)
        keys, values = (part.expand(len(key), -1, -1, -1) for part in both)
        return torch.cat([keys, key], dim=2), torch.cat([values, value], dim=2)


def _attention_with_prefix(
    implementation: str,
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    **options: Any,
) -> Any:
    """What transformers calls as the module's attention: its own implementation on longer keys and values."""
    text = key.shape[2]
    for child in module.children():
        if isinstance(child, Prefix) and child.acts:
            key, value = child.extend(key, value)
    added = key.shape[2] - text
    if added:
        attention_mask = _extended_mask(implementation, module, query, attention_mask, added, text, options)
        if options.get("position_bias") is not None:
            options["position_bias"] = _before(options["position_bias"][..., :text], added, 0)
    return _own_attention(implementation, module)(module, query, key, value, attention_mask, **options)


def _extended_mask(
    implementation: str,
    module: nn.Module,
    query: Tensor,
    mask: Tensor | None,
    added: int,
    text: int,
    options: dict[str, Any],
) -> Tensor | None:
    """The mask with `added` columns that all queries see. Without a mask, sdpa would count a causal one from the first
    column, and not from the last."""
    if mask is not None:
        return _before(mask[..., :text], added, 1 if mask.dtype == torch.bool or mask.dim() == 2 else 0)
    causal = options.get("is_causal")
    causal = getattr(module, "is_causal", True) if causal is None else causal
    rows = query.shape[2]
    if implementation != "sdpa" or not causal or rows == 1:
        return None
    visible = torch.ones(rows, added + text, dtype=torch.bool, device=query.device)
    return visible.tril(added + text - rows)[None, None]  # (1, 1, T, P + T)


def _before(tensor: Tensor, columns: int, value: int) -> Tensor:
    """(…, T) -> (…, columns + T)."""
    return torch.cat([tensor.new_full((*tensor.shape[:-1], columns), value), tensor], dim=-1)


def _own_attention(implementation: str, module: nn.Module) -> Callable[..., Any]:
    """The function that the module would call without a prefix."""
    file = sys.modules[inspect.unwrap(type(module).forward).__module__]
    if implementation == "eager":
        return file.eager_attention_forward  # type: ignore[no-any-return]
    return getattr(file, _INTERFACE)[implementation]  # type: ignore[no-any-return]


for _implementation in IMPLEMENTATIONS:
    AttentionInterface.register(_NAME.format(_implementation), partial(_attention_with_prefix, _implementation))


def _swap_config(attention: Any) -> None:
    """Give the module a configuration of its own that names the attention above. The model's is left as it is: other
    modules, and other models, may share it."""
    if hasattr(attention.config, "without_prefix"):
        return
    own = copy.copy(attention.config)
    own.without_prefix = attention.config
    own._attn_implementation_internal = _NAME.format(attention.config._attn_implementation)
    attention.config = own


def _restore_config(attention: Any) -> None:
    attention.config = getattr(attention.config, "without_prefix", attention.config)


def _key_projections(model: nn.Module, layers: Sequence[int] | None) -> dict[str, Target]:
    """Name of an attention module -> its key projection, in model order."""
    if hasattr(model, "pretrained_cfg"):
        raise ValueError("kind: prefix goes through transformers' attention interface, which timm's models do not have")
    found = projection_targets(model, ("key",), layers)
    return {target.name.rpartition(".")[0]: target for target in found}


def _require_known_attention(name: str, attention: Any) -> None:
    """
    Raises:
        ValueError: the module computes attention in a way that a prefix cannot enter.
    """
    file = sys.modules[inspect.unwrap(type(attention).forward).__module__]
    if not hasattr(file, _INTERFACE) or not hasattr(attention, "config"):
        raise ValueError(
            f"{name}: kind: prefix goes through transformers' attention interface, which {type(attention).__name__} "
            "of this version of transformers does not use; install a newer one, or choose kind: prompt"
        )
    used = getattr(attention.config, "without_prefix", attention.config)._attn_implementation or "eager"
    if used not in IMPLEMENTATIONS:
        raise ValueError(
            f"{name}: kind: prefix knows the attention implementations {', '.join(IMPLEMENTATIONS)}, not {used}; "
            "set language.attention"
        )
