"""What the architectures that generate text share: the loss of target tokens, and how to decode."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn import functional
from transformers import GenerationConfig

from vlrouting.config import GenerateConfig
from vlrouting.models.joint_model import ModelInputs


def token_loss(logits: Tensor, labels: Tensor, batch: ModelInputs, smoothing: float = 0.0) -> Tensor:
    """Cross-entropy of the target tokens: their sum over `batch.loss_tokens`, or over their number where that is None.

    Args:
        logits: (B, T, vocabulary), each what its label is predicted from.
        labels: (B, T), the target token or -100.
        batch: that they belong to.
        smoothing: share of each label's probability that goes to all tokens alike.

    Returns:
        A scalar, float32.
    """
    total = functional.cross_entropy(
        logits.flatten(0, 1).float(), labels.flatten(), reduction="sum", label_smoothing=smoothing
    )
    return total / (batch.target_tokens if batch.loss_tokens is None else batch.loss_tokens)


def decoding(config: GenerateConfig, end_token: int, **tokens: int) -> GenerationConfig:
    """transformers' configuration of a `generate` call; `tokens` are further special tokens of the model."""
    sampling = {"temperature": config.temperature, "top_p": config.top_p, "top_k": 0} if config.sample else {}
    searching: dict[str, Any] = {"length_penalty": config.length_penalty} if config.beams > 1 else {}
    return GenerationConfig(
        max_new_tokens=config.max_new_tokens,
        num_beams=config.beams,
        do_sample=config.sample,
        eos_token_id=end_token,
        pad_token_id=end_token,
        **sampling,
        **searching,
        **tokens,
    )
