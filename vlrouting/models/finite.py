"""NaN and infinities are found where they appear, not in a score at the end."""

from __future__ import annotations

import torch
from torch import Tensor
from transformers import LogitsProcessor

from vlrouting.models.not_finite import NotFinite


def require_finite(tensor: Tensor, what: str) -> Tensor:
    """The tensor, (B, …). A GPU has to finish its work for the answer.

    Raises:
        NotFinite: it holds NaN or an infinity.
    """
    wrong = ~torch.isfinite(tensor).flatten(1).all(dim=1)  # (B,)
    if bool(wrong.any()):
        raise NotFinite(what, wrong.nonzero().flatten().tolist())
    return tensor


class NanWatch(LogitsProcessor):
    """Notices NaN among the logits of text generation, without making a GPU wait for each token.

    Args:
        rows: number of texts; each has as many rows of logits as there are beams.
    """

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self._seen: Tensor | None = None  # (B · K,)

    def __call__(self, _ids: Tensor, scores: Tensor) -> Tensor:
        """(B · K, vocabulary), unchanged. An infinity is no fault here: -inf is a token that must not come."""
        seen = torch.isnan(scores).any(dim=1)
        self._seen = seen if self._seen is None else self._seen | seen
        return scores

    def check(self) -> None:
        """
        Raises:
            NotFinite: there was one.
        """
        if self._seen is not None:
            wrong = self._seen.view(self.rows, -1).any(dim=1)
            if bool(wrong.any()):
                raise NotFinite("the logits", wrong.nonzero().flatten().tolist())
