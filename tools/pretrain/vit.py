"""Trains a small ViT on images, so that its class token contains which things are where.

Linear heads on the class token (after the final norm, as in the frozen encoder) predict the content of every cell of
the grid, and the list of things in reading order. A third head on every patch token predicts the content of the patch;
its weight decreases to zero during training, and it helps the first layers at the start. The heads are not saved.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from tools.pretrain.folder import new_folder, require_new
from tools.pretrain.optimize import Recipe, optimize
from tools.pretrain.readout import Readout
from tools.pretrain.scenes import CELLS, LabelledImages, draw_images, reading_order
from vlrouting.shapes.scene import COLORS, MOST_THINGS, SHAPES, SIZES

ARCHITECTURE = "vit_tiny_patch16_224"
SIDE = 63
"""Width and height in pixels: a patch of 21 pixels is a cell of the grid, for nine tokens and a fast encoder."""
MODEL_ARGS = {"img_size": SIDE, "patch_size": SIDE // 3, "depth": 4, "num_heads": 6}
MEAN, STD = 0.87, 0.2
"""Approximate mean and standard deviation of a pixel: most of an image is its light background."""
_THING = (len(COLORS), len(SHAPES), len(SIZES))
_POSITION_SCALE = 0.5
"""Initial standard deviation of the position embedding. With timm's 0.02 the class token learns positions slowly: after
260 steps it predicted less than 1% of the things, with 0.5 more than 75%."""

Batch = tuple[Tensor, Tensor]
"""Pixels (B, 3, H, W) float32, normalised; cells (B, CELLS, 3)."""


@dataclass(frozen=True)
class Accuracy:
    """Accuracy on new images.

    Attributes:
        things: fraction of things with correct cell, colour, shape and size, predicted from the class token.
        images: fraction of images with all cells correct.
    """

    things: float
    images: float


class _TrainingModel(nn.Module):
    """The ViT with the training heads."""

    def __init__(self) -> None:
        super().__init__()
        self.vit: Any = timm.create_model(ARCHITECTURE, num_classes=0, **MODEL_ARGS)
        nn.init.normal_(self.vit.pos_embed, std=_POSITION_SCALE)
        width = int(self.vit.num_features)
        self.cells = Readout(width, CELLS, _THING)
        self.list = Readout(width, MOST_THINGS, (*_THING, CELLS))
        self.patch = Readout(width, 1, _THING)

    def loss(self, batch: Batch, done: float) -> Tensor:
        """The losses of all heads, summed over the slots of an image; `done` is the fraction of completed steps."""
        pixels, cells = batch
        tokens = self.vit.forward_features(pixels)  # (B, 1 + CELLS, Dv), class token first
        loss = self.cells.loss(tokens[:, 0], cells) + self.list.loss(tokens[:, 0], reading_order(cells, MOST_THINGS))
        return loss + (1 - done) * CELLS * self.patch.loss(tokens[:, 1:], cells.unsqueeze(2))


def train_vit(out: Path, scenes: int, test_scenes: int, recipe: Recipe) -> Accuracy:
    """Train the ViT from scratch and save it to a new folder in the format of timm's hub, in float16.

    Args:
        out: the folder, for `timm.create_model("local-dir:<out>", pretrained=True)`.
        scenes: number of training images, which the seed determines.
        test_scenes: number of new images for the evaluation.
        recipe: optimisation and seed.

    Returns:
        The accuracy of the saved weights.

    Raises:
        FileExistsError: the folder contains something.
    """
    require_new(out)
    images = draw_images(scenes, SIDE, f"pictures to learn from {recipe.seed}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        model = _TrainingModel()
        optimize(model, _batches(images, recipe.batch_size), model.loss, recipe, "ViT")
    _round_to_half(model.vit)
    with new_folder(out) as folder:
        _save(model.vit, folder)
    return _measure(model, draw_images(test_scenes, SIDE, f"pictures to measure on {recipe.seed}"))


def normalize(pixels: Tensor) -> Tensor:
    """(B, H, W, 3) uint8 -> (B, 3, H, W) float32."""
    return (pixels.permute(0, 3, 1, 2).float() / 255 - MEAN) / STD


def _batches(images: LabelledImages, size: int) -> Iterator[Batch]:
    """An infinite stream of batches; every epoch has each image once."""
    while True:
        for rows in torch.split(torch.randperm(len(images)), size):
            yield normalize(images.pixels[rows]), images.cells[rows]


@torch.no_grad()
def _measure(model: _TrainingModel, images: LabelledImages) -> Accuracy:
    """Accuracy of the predictions from the class token."""
    correct = []
    for rows in torch.split(torch.arange(len(images)), 256):
        tokens = model.vit.forward_features(normalize(images.pixels[rows]))
        correct.append(model.cells.correct(tokens[:, 0], images.cells[rows]))
    cells = torch.cat(correct)  # (N, CELLS)
    full = images.cells[..., 0] >= 0
    return Accuracy(things=cells[full].float().mean().item(), images=cells.all(1).float().mean().item())


def _round_to_half(model: nn.Module) -> None:
    for parameter in model.parameters():
        parameter.data = parameter.data.half().float()


def _save(vit: Any, folder: Path) -> None:
    preprocessing = {
        "input_size": [3, SIDE, SIDE], "fixed_input_size": True, "mean": [MEAN] * 3, "std": [STD] * 3,
        "interpolation": "bicubic", "crop_pct": 1.0, "crop_mode": "squash",
    }  # fmt: skip
    config = {
        "architecture": ARCHITECTURE,
        "num_classes": 0,
        "num_features": int(vit.num_features),
        "global_pool": "token",
        "model_args": MODEL_ARGS,
        "pretrained_cfg": {
            **preprocessing, "num_classes": 0, "pool_size": None, "first_conv": "patch_embed.proj",
            "classifier": "head", "license": "apache-2.0",
        },
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    weights = {name: tensor.half().contiguous() for name, tensor in vit.state_dict().items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
