"""`model.label_smoothing`: of the target tokens alone, and in training alone."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from tests.models import test_decoder, test_encoder_decoder
from tests.tiny_models import batch_of
from vlrouting.data.loading.batch import IGNORED, Batch
from vlrouting.models import decoder, decoding, encoder_decoder
from vlrouting.models.joint_model import JointModel


def decoder_case() -> tuple[JointModel, Batch]:
    ids = torch.tensor([[5, 6, 2], [7, 2, 0]])
    labels = torch.tensor([[5, 6, 2], [7, 2, IGNORED]])
    return test_decoder.make(), batch_of(ids, (labels >= 0).long(), labels=labels, visual=test_decoder.images(2))


def encoder_decoder_case() -> tuple[JointModel, Batch]:
    batch = test_encoder_decoder.training_batch([0, 1], test_encoder_decoder.images(2))
    return test_encoder_decoder.make(), batch


@pytest.mark.parametrize("case", [decoder_case, encoder_decoder_case])
def test_a_share_of_every_label_goes_to_all_tokens_alike_in_training(
    case: Callable[[], tuple[JointModel, Batch]], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[Tensor, Tensor]] = []

    def noted(logits: Tensor, labels: Tensor, *others: object) -> Tensor:
        seen.append((logits.detach(), labels))
        return decoding.token_loss(logits, labels, *others)  # type: ignore[arg-type]

    for module in (decoder, encoder_decoder):
        monkeypatch.setattr(module, "token_loss", noted)
    model, batch = case()
    plain = model(batch)
    model.config.label_smoothing = 0.3
    assert torch.equal(model(batch), plain)  # evaluation
    model.train()
    smoothed = model(batch)
    logits, labels = seen[-1]
    logs, real = logits.double().log_softmax(-1), labels != IGNORED
    of_label = logs.gather(-1, labels.clamp(min=0).unsqueeze(-1)).squeeze(-1)
    expected = -(0.7 * of_label + 0.3 * logs.mean(-1))[real].mean()
    assert smoothed.item() == pytest.approx(expected.item(), rel=1e-5)
    assert abs(smoothed.item() - plain.item()) > 1e-3
