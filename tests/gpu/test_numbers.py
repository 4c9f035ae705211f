"""Single computations on a GPU against the CPU's, and compiled against eager.

What is compared within one device runs on the CPU too, so that a test cannot fall behind the code where no GPU is.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.tiny_experiment import write_caption_experiment, write_experiment
from vlrouting.backbones.feature_cache import build_feature_cache
from vlrouting.backbones.vision import load_vision_encoder
from vlrouting.config import VisionConfig
from vlrouting.data.images import load_image
from vlrouting.experiment import load
from vlrouting.training.assembly import build_point
from vlrouting.training.inputs import SharedInputs

BACKENDS = {"cpu": "aot_eager", "cuda": "inductor"}
"""On the CPU without the C++ compiler, which takes a minute."""


@pytest.mark.gpu
@pytest.mark.slow
@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "tf_efficientnet_lite0"])
def test_cached_features_equal_those_of_a_cpu(name: str, shapes_world: Path, tmp_path: Path) -> None:
    images = sorted(shapes_world.rglob("*.png"))[:40]
    features = []
    for device in (torch.device("cpu"), torch.device("cuda")):
        encoder = load_vision_encoder(VisionConfig(name=name, weights="random", image_size=64))
        cache = build_feature_cache(encoder, images, tmp_path / device.type, load_image, 16, device=device)
        features.append(np.load(cache.folder / "features.npy"))
    assert features[0].shape[0] == len(images)
    np.testing.assert_allclose(features[1], features[0], atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=[pytest.mark.gpu, pytest.mark.slow])])
@pytest.mark.parametrize("write", [write_experiment, write_caption_experiment])
def test_the_compiled_model_has_the_loss_and_gradients_of_the_eager_one(
    write: Callable[..., Path], device: str, tmp_path: Path
) -> None:
    config = load(str(write(tmp_path, bottleneck={"dropout": 0.0}))).points[0].config
    built = build_point(config, SharedInputs(torch.device(device)))
    task = built.task.to(device)
    batch = next(iter(built.data.train_dataloader())).to(device)
    found = []
    for compiled in (False, True):
        if compiled:
            task.task_model.model.compile(backend=BACKENDS[device])
        task.zero_grad()
        loss = task.task_model.loss(batch)
        loss.backward()
        gradients = [parameter.grad for parameter in task.parameters() if parameter.grad is not None]
        found.append(torch.cat([loss.detach().view(1), *(gradient.flatten() for gradient in gradients)]))
    torch.testing.assert_close(found[1], found[0], atol=1e-4, rtol=1e-4)
