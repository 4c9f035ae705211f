"""Weights that each token chooses by its modality (Context-PEFT, arXiv 2312.08900)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import reduce
from typing import NoReturn, TypeVar

import torch
from torch import Tensor, nn

from vlrouting.bottleneck.base import Bottleneck, Site
from vlrouting.bottleneck.context import IMAGE
from vlrouting.bottleneck.families import stream_of
from vlrouting.bottleneck.targets import Target, block_of
from vlrouting.config.kinds.contexts import ContextKindConfig

Config = TypeVar("Config", bound=ContextKindConfig)


def targets_with_contexts(model: nn.Module, config: ContextKindConfig, targets: Sequence[Target]) -> list[Target]:
    """The targets that meet a context of the configuration.

    Raises:
        ValueError: there is none.
    """
    found = [target for target in targets if _names_met(model, config, target.name)]
    if not found:
        raise ValueError("contexts: image has no weights where only text is read; add text or all, or other targets")
    return found


def with_contexts_met(config: Config, site: Site) -> Config:
    """The configuration without the contexts that no token of the target can be in: the decoder of an encoder-decoder
    reads text only.

    Raises:
        ValueError: no context is left, or the target is outside of the blocks, where a layer may read a part of the
            sequence (a head) or one token of it (a pooler).
    """
    names, target = _names_met(site.model, config, site.target.name), site.target.name
    if not block_of(target)[0]:
        raise ValueError(
            f"{site.key}: kind: {config.kind} goes by the token's position, and a layer outside of the blocks may read "
            "a part of the sequence only; choose targets inside of the blocks"
        )
    if not names:
        raise ValueError(f"{site.key}: reads text only, for which contexts has no weights; add text or all")
    gone = {name: None for name in config.named_contexts if name not in names}
    return replace(config, contexts=replace(config.contexts, **gone)) if gone else config


def _names_met(model: nn.Module, config: ContextKindConfig, target: str) -> list[str]:
    text_only = stream_of(model, target) == "decoder"
    return [name for name in config.named_contexts if not (name == "image" and text_only)]


def refuse_merging(bottleneck: Bottleneck) -> NoReturn:
    """
    Raises:
        ValueError: always; the text says why.
    """
    raise ValueError(
        f"{bottleneck.key}: kind: {bottleneck.config.kind} may change image tokens and text tokens differently, and "
        "one weight cannot stand for both; keep the bottlenecks attached"
    )


class TokenContexts:
    """Which contexts the tokens that one bottleneck reads are in. It knows no mask of its own: the modality comes from
    the forward context in every pass, also when a block is recomputed in the backward pass and in every step of
    decoding. (The released code keeps the mask in the layers and clears it in the forward pass, so that a recomputation
    has none.)

    The products are dense: every token goes through the weights of all contexts, and those that are not its own are
    multiplied by zero. So all weights have a gradient in every pass, as DDP needs it.

    Attributes:
        names: of the contexts, in the order of the weights.
    """

    def __init__(self, bottleneck: Bottleneck) -> None:
        config = bottleneck.config
        assert isinstance(config, ContextKindConfig)
        self.kind, self.key, self.slot, self.stream = config.kind, bottleneck.key, bottleneck.slot, bottleneck.stream
        self.names = tuple(config.named_contexts)
        self._of_text = [number for number, name in enumerate(self.names) if name != "image"]
        self._of_image = [number for number, name in enumerate(self.names) if name != "text"]
        self._all_alike = self.stream == "decoder" or self._of_text == self._of_image

    def per_token(
        self, weights: Tensor, x: Tensor, combine: Callable[[Tensor, Tensor], Tensor] = torch.add, start: float = 0.0
    ) -> Tensor:
        """The weights of each token's contexts, combined.

        Args:
            weights: (contexts, W), in the order of `names`.
            x: (B, T, D), what the tokens are.
            combine: sum or product.
            start: what it starts from: 0 or 1.

        Returns:
            (B, T, W); (W,) where all tokens are in the same contexts.

        Raises:
            RuntimeError: the modality of the tokens is not known.
            ValueError: x is not (B, T, D).
        """
        of_text, of_image = (
            reduce(combine, (weights[number] for number in numbers), torch.full_like(weights[0], start))
            for numbers in (self._of_text, self._of_image)
        )
        return of_text if self._all_alike else torch.where(self._is_image(x).unsqueeze(-1), of_image, of_text)

    def _is_image(self, x: Tensor) -> Tensor:
        """(B, T), true for the image's tokens."""
        if x.dim() != 3:
            raise ValueError(
                f"{self.key}: kind: {self.kind} needs an input (B, T, D) to know each token's place, not "
                f"{tuple(x.shape)}; choose other targets"
            )
        context = self.slot.current
        codes = None if context is None else context.modality_for(x.shape[0], x.shape[1], self.stream)
        if codes is None:
            raise RuntimeError(
                f"{self.key}: kind: {self.kind} chooses weights by each token's modality, which is not known; run the "
                "model inside `with routed.look_at(visual, modality=codes):`, codes (B, T), 2 for image and 1 for text"
            )
        return codes == IMAGE
