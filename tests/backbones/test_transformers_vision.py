"""Vision encoders of transformers: which tower, which features, what is refused; and grids that are pooled."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import transformers
from PIL import Image
from torch import Tensor

from tests.tiny_backbones import save_tiny_clip, save_tiny_roberta
from vlrouting.backbones.feature_cache import cache_key
from vlrouting.backbones.location import BackboneError
from vlrouting.backbones.vision import VisionEncoder, load_vision_encoder
from vlrouting.bottleneck import attach
from vlrouting.config import BottleneckConfig, VisionConfig, check

SMALL = {
    "hidden_size": 24, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 3, "image_size": 32,
    "patch_size": 8,
}  # fmt: skip
MODELS = {
    "vit": lambda: transformers.ViTModel(transformers.ViTConfig(**SMALL)),
    "siglip": lambda: transformers.SiglipVisionModel(transformers.SiglipVisionConfig(**SMALL)),
    "dinov2": lambda: transformers.Dinov2WithRegistersModel(transformers.Dinov2WithRegistersConfig(**SMALL)),
    "resnet": lambda: transformers.ResNetModel(
        transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 24], depths=[1, 1])
    ),
}


def saved(name: str, folder: Path) -> Path:
    torch.manual_seed(2)
    MODELS[name]().save_pretrained(folder)
    transformers.ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


def pixels(encoder: VisionEncoder) -> Tensor:
    return encoder.transform(Image.effect_noise((50, 70), 80).convert("RGB"))[None]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_clip(tmp_path_factory.mktemp("clip"))


def test_of_a_clip_the_vision_tower_is_taken_with_its_own_preprocessing(clip: Path) -> None:
    """Pooled features are those of CLIP itself; tokens are its patches, without the class token."""
    encoder = load_vision_encoder(VisionConfig(str(clip)))
    tokens = load_vision_encoder(VisionConfig(str(clip), features="tokens"))
    image = Image.new("RGB", (40, 30), (200, 10, 90))
    inputs = encoder.transform(image)[None]
    whole = transformers.CLIPModel.from_pretrained(clip).eval()
    with torch.no_grad():
        output = whole.vision_model(pixel_values=inputs)
    torch.testing.assert_close(encoder(inputs)[:, 0], output.pooler_output)
    torch.testing.assert_close(tokens(inputs), output.last_hidden_state[:, 1:])
    processor = transformers.CLIPImageProcessor.from_pretrained(clip)
    mean, std = torch.tensor(processor.image_mean), torch.tensor(processor.image_std)
    torch.testing.assert_close(inputs[0, :, 5, 5], (torch.tensor([200, 10, 90]) / 255 - mean) / std)
    assert encoder.image_size == (32, 32) and str(encoder.revision).startswith("weights ")
    assert not any(parameter.requires_grad for parameter in encoder.parameters())
    random = load_vision_encoder(VisionConfig(str(clip), weights="random"))
    assert random.revision == "random" and not torch.equal(random(inputs), encoder(inputs))


@pytest.mark.parametrize("name", MODELS)
def test_features_of_other_towers(name: str, tmp_path: Path) -> None:
    folder = str(saved(name, tmp_path))
    pooled = load_vision_encoder(VisionConfig(folder))
    tokens = load_vision_encoder(VisionConfig(folder, features="tokens"))
    inputs = pixels(pooled)
    with torch.no_grad():
        output = tokens.model(pixel_values=inputs)
    states = output.last_hidden_state
    expected = {
        "vit": states[:, 0] if name == "vit" else None,  # not the pooler, which most checkpoints have untrained
        "siglip": output.pooler_output,
        "dinov2": states[:, 0] if name == "dinov2" else None,
        "resnet": states.mean((2, 3)) if name == "resnet" else None,
    }[name]
    torch.testing.assert_close(pooled(inputs)[:, 0], expected)
    grid = {"vit": 16, "siglip": 16, "dinov2": 16, "resnet": 16}[name]
    assert tokens(inputs).shape == (1, grid, 24)
    if name != "resnet":
        torch.testing.assert_close(tokens(inputs), states[:, -16:])
    larger = load_vision_encoder(VisionConfig(folder, features="tokens", image_size=64))
    assert larger(pixels(larger)).shape == (1, 64, 24)


def test_a_bottleneck_is_attached_to_a_clip_tower(clip: Path) -> None:
    encoder = load_vision_encoder(VisionConfig(str(clip)))
    inputs = pixels(encoder)
    before = encoder(inputs)
    for config, count in ((BottleneckConfig("lora", rank=2), 4), (BottleneckConfig("adapter", rank=2), 4)):
        routed = attach(encoder.model, config)
        assert len(routed.bottlenecks) == count
        torch.testing.assert_close(encoder(inputs), before)
        for bottleneck in routed.bottlenecks.values():
            torch.nn.init.normal_(bottleneck.up.weight)
        assert encoder(inputs).requires_grad and (encoder(inputs) - before).abs().max() > 1e-2
        routed.detach()


@pytest.mark.parametrize("name", ["resnet101_clip", "vit_tiny_patch16_224"])
def test_a_grid_is_pooled_by_its_largest_values(name: str) -> None:
    size = 224 if "clip" in name else 64
    shape = (6, 6) if "clip" in name else (2, 3)
    options = {"weights": "random", "features": "tokens", "image_size": size}
    whole = load_vision_encoder(VisionConfig(name, **options))
    pooled = load_vision_encoder(VisionConfig(name, **options, pool=list(shape)))
    inputs = torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(1))
    tokens, found = whole(inputs), pooled(inputs)
    side = int(tokens.shape[1] ** 0.5)
    assert (side, tokens.shape[2]) == ((7, 2048) if "clip" in name else (4, 192))
    grid = tokens[0].reshape(side, side, -1)
    for row in range(shape[0]):
        for column in range(shape[1]):
            rows = slice(row * side // shape[0], -(-(row + 1) * side // shape[0]))
            columns = slice(column * side // shape[1], -(-(column + 1) * side // shape[1]))
            expected = grid[rows, columns].amax(dim=(0, 1))
            assert torch.equal(found[0, row * shape[1] + column], expected)
    assert cache_key(whole, [], Image.open) != cache_key(pooled, [], Image.open)  # type: ignore[arg-type]


def test_what_cannot_be_is_refused(clip: Path, tmp_path: Path) -> None:
    too_many = load_vision_encoder(VisionConfig(str(clip), features="tokens", pool=[6, 6]))
    with pytest.raises(BackboneError, match="gives 4 x 4 tokens, fewer than 6 x 6"):
        too_many(pixels(too_many))
    with pytest.raises(BackboneError, match="set it to hub or random"):
        load_vision_encoder(VisionConfig(str(clip), weights="some/file.safetensors"))
    language = save_tiny_roberta(tmp_path / "roberta")
    transformers.ViTImageProcessor().save_pretrained(language)
    with pytest.raises(BackboneError, match="'roberta' is no vision model"):
        load_vision_encoder(VisionConfig(str(language)))
    with pytest.raises(BackboneError, match=r"hf download someone/no-such-tower"):
        load_vision_encoder(VisionConfig("someone/no-such-tower"))
    (saved("vit", tmp_path / "vit") / "model.safetensors").write_bytes(b"")
    with pytest.raises(BackboneError, match="transformers cannot load the vision model"):
        load_vision_encoder(VisionConfig(str(tmp_path / "vit")))
    for pool, features in (([6], "tokens"), ([6, 6], "pooled")):
        assert [problem.keys[0] for problem in check(VisionConfig(pool=pool, features=features))] == ["pool"]
