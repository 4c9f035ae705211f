"""A small ViT that learns from pictures alone, so that its class token tells what is where.

Linear heads on the class token (after the final norm, as the frozen encoder gives it) name the content of every cell of
the grid, and list the things in reading order. A third head on every patch token, whose weight falls to nothing over
the training, names the content of the patch; it shows the first layers what to look for. The heads are thrown away.
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

from tools.pretrain.folder import new_folder, refuse_taken
from tools.pretrain.optimize import Recipe, optimize
from tools.pretrain.readout import Readout
from tools.pretrain.scenes import CELLS, LabelledPictures, draw_pictures, reading_order
from vlrouting.shapes.scene import COLORS, MOST_THINGS, SHAPES, SIZES

ARCHITECTURE = "vit_tiny_patch16_224"
SIDE = 63
"""Pixels of a side: a patch of 21 pixels is a cell of the grid, which makes nine tokens and a quick encoder."""
MODEL_ARGS = {"img_size": SIDE, "patch_size": SIDE // 3, "depth": 4, "num_heads": 6}
MEAN, DEVIATION = 0.87, 0.2
"""Of a pixel, about: most of a picture is its light ground."""
_THING = (len(COLORS), len(SHAPES), len(SIZES))
_POSITION_SCALE = 0.5
"""Standard deviation of the position embedding at the start. With timm's 0.02 the class token is slow to find out
where a thing is: after 260 steps it told less than 1% of the things, with 0.5 more than 75%."""

Batch = tuple[Tensor, Tensor]
"""Pixels (B, 3, H, W) float32, normalised; cells (B, CELLS, 3)."""


@dataclass(frozen=True)
class Accuracy:
    """On pictures that the training did not show.

    Attributes:
        things: share of the things of which cell, colour, shape and size are read right from the class token.
        pictures: share of the pictures of which every cell is.
    """

    things: float
    pictures: float


class _Pupil(nn.Module):
    """The ViT with the heads of the training."""

    def __init__(self) -> None:
        super().__init__()
        self.vit: Any = timm.create_model(ARCHITECTURE, num_classes=0, **MODEL_ARGS)
        nn.init.normal_(self.vit.pos_embed, std=_POSITION_SCALE)
        width = int(self.vit.num_features)
        self.cells = Readout(width, CELLS, _THING)
        self.list = Readout(width, MOST_THINGS, (*_THING, CELLS))
        self.patch = Readout(width, 1, _THING)

    def loss(self, batch: Batch, done: float) -> Tensor:
        """All heads' losses, summed over the places of a picture; `done` is the share of the training behind."""
        pixels, cells = batch
        tokens = self.vit.forward_features(pixels)  # (B, 1 + CELLS, Dv), class token first
        seen = self.cells.loss(tokens[:, 0], cells) + self.list.loss(tokens[:, 0], reading_order(cells, MOST_THINGS))
        return seen + (1 - done) * CELLS * self.patch.loss(tokens[:, 1:], cells.unsqueeze(2))


def train_vit(out: Path, scenes: int, test_scenes: int, recipe: Recipe) -> Accuracy:
    """Trains the ViT from nothing and writes it to a new folder as timm's hub has them, in float16.

    Args:
        out: `timm.create_model("local-dir:<out>", pretrained=True)` loads it.
        scenes: how many pictures to learn from; drawn anew for a seed, the same for the same.
        test_scenes: how many other pictures to measure on.

    Returns:
        The accuracy of the weights as they are written.

    Raises:
        FileExistsError: something is there already.
    """
    refuse_taken(out)
    pictures = draw_pictures(scenes, SIDE, f"pictures to learn from {recipe.seed}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        pupil = _Pupil()
        optimize(pupil, _batches(pictures, recipe.batch_size), pupil.loss, recipe, "ViT")
    _round_to_half(pupil.vit)
    with new_folder(out) as folder:
        _save(pupil.vit, folder)
    return _measure(pupil, draw_pictures(test_scenes, SIDE, f"pictures to measure on {recipe.seed}"))


def normalize(pixels: Tensor) -> Tensor:
    """(B, H, W, 3) uint8 -> (B, 3, H, W) float32."""
    return (pixels.permute(0, 3, 1, 2).float() / 255 - MEAN) / DEVIATION


def _batches(pictures: LabelledPictures, size: int) -> Iterator[Batch]:
    """Without end; every picture once before any comes again."""
    while True:
        for rows in torch.split(torch.randperm(len(pictures)), size):
            yield normalize(pictures.pixels[rows]), pictures.cells[rows]


@torch.no_grad()
def _measure(pupil: _Pupil, pictures: LabelledPictures) -> Accuracy:
    """How much of these pictures the class token tells."""
    right = []
    for rows in torch.split(torch.arange(len(pictures)), 256):
        tokens = pupil.vit.forward_features(normalize(pictures.pixels[rows]))
        right.append(pupil.cells.right(tokens[:, 0], pictures.cells[rows]))
    cells = torch.cat(right)  # (N, CELLS)
    full = pictures.cells[..., 0] >= 0
    return Accuracy(things=cells[full].float().mean().item(), pictures=cells.all(1).float().mean().item())


def _round_to_half(model: nn.Module) -> None:
    for parameter in model.parameters():
        parameter.data = parameter.data.half().float()


def _save(vit: Any, folder: Path) -> None:
    preprocessing = {
        "input_size": [3, SIDE, SIDE], "fixed_input_size": True, "mean": [MEAN] * 3, "std": [DEVIATION] * 3,
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
