"""Cross-attention in place of a routing function: the paper's baseline with parameters."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


class CrossAttention(nn.Module):
    """Attention from text to image at the bottleneck's width: the paper's parametrised baseline.

    The text is added to what it attends to, as in every cross-attention block: with V = 1 the softmax is 1 whatever
    the text says, and without the sum the update could not depend on the token.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query, self.key, self.value, self.out = (nn.Linear(width, width, bias=False) for _ in range(4))

    def forward(self, x_t: Tensor, x_v: Tensor, mask: Tensor | None = None) -> Tensor:
        """(B, T, R), (B, V, R), (B, V) -> (B, T, R)."""
        real = None if mask is None else mask.bool().unsqueeze(1)  # (B, 1, V)
        attended = functional.scaled_dot_product_attention(self.query(x_t), self.key(x_v), self.value(x_v), real)
        routed: Tensor = x_t + self.out(attended)
        return routed
