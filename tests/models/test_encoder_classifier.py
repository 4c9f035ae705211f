from pathlib import Path

import pytest
import torch

from tests.tiny_backbones import save_tiny_roberta
from tests.tiny_models import batch_of
from vlrouting.backbones.language import enable_gradient_checkpointing, load_language_model
from vlrouting.backbones.vision import load_vision_encoder
from vlrouting.bottleneck import attach
from vlrouting.config import BottleneckConfig, LanguageConfig, ModelConfig, VisionConfig
from vlrouting.models.encoder_classifier import EncoderClassifier

WIDTH, ANSWERS = 32, 7
IDS = torch.tensor([[0, 5, 6, 7, 2], [0, 8, 9, 2, 1], [0, 5, 2, 1, 1]])
MASK = (IDS != 1).long()


@pytest.fixture
def folder(tmp_path: Path) -> str:
    return str(save_tiny_roberta(tmp_path, WIDTH))


def make(folder: str, shape: tuple[int, int] | None = (1, WIDTH), **options: object) -> EncoderClassifier:
    routing = "none" if shape is None else "mul"
    torch.manual_seed(1)
    language = load_language_model(LanguageConfig(folder))
    config = BottleneckConfig("lora", rank=4, routing=routing)
    model = EncoderClassifier(attach(language.model, config), shape, ModelConfig(**options), outputs=ANSWERS)  # type: ignore[arg-type]
    for bottleneck in model.routed.bottlenecks.values():
        torch.nn.init.normal_(bottleneck.up.weight, std=0.2)
    return model.eval()


def features(visual_tokens: int = 1, width: int = WIDTH) -> torch.Tensor:
    return torch.randn(3, visual_tokens, width, generator=torch.Generator().manual_seed(2))


def test_the_answer_is_read_from_the_first_text_token(folder: str) -> None:
    model = make(folder, (2, WIDTH), normalize_visual=False)
    visual = features(2)
    with torch.no_grad(), model.routed.look_at(visual):
        text = model.language.get_input_embeddings()(IDS)
        mask = torch.cat([torch.ones(3, 2, dtype=torch.long), MASK], dim=1)
        states = model.language(inputs_embeds=torch.cat([visual, text], dim=1), attention_mask=mask).last_hidden_state
        expected = model.head(states[:, 2])
        torch.testing.assert_close(model(batch_of(IDS, MASK, visual=visual)), expected)


def test_the_text_is_embedded_once(folder: str) -> None:
    """Position and type embeddings and the norm come after: the input is word embeddings, not an embedding layer's
    output."""
    model = make(folder, None, visual_input="none")
    with torch.no_grad():
        expected = model.head(model.language(input_ids=IDS, attention_mask=MASK).last_hidden_state[:, 0])
        # Positions of padding differ between the two ways in, and padding is masked.
        torch.testing.assert_close(model(batch_of(IDS, MASK)), expected)


def test_padding_changes_nothing(folder: str) -> None:
    model = make(folder)
    longer, mask = torch.nn.functional.pad(IDS, (0, 4), value=1), torch.nn.functional.pad(MASK, (0, 4))
    with torch.no_grad():
        short = model(batch_of(IDS, MASK, visual=features()))
        torch.testing.assert_close(model(batch_of(longer, mask, visual=features())), short, atol=1e-5, rtol=1e-5)


def test_a_batch_equals_its_examples_one_by_one(folder: str) -> None:
    model = make(folder)
    visual = features()
    with torch.no_grad():
        together = model(batch_of(IDS, MASK, visual=visual))
        for n in range(3):
            alone = model(batch_of(IDS[n : n + 1], MASK[n : n + 1], visual=visual[n : n + 1]))
            torch.testing.assert_close(together[n : n + 1], alone, atol=1e-5, rtol=1e-5)


def test_projector_is_the_identity_where_the_widths_agree(folder: str) -> None:
    assert isinstance(make(folder).projector, torch.nn.Identity)
    assert isinstance(make(folder, (1, 48)).projector, torch.nn.Linear)
    assert make(folder, None, visual_input="none").projector is None


def test_normalised_features_do_not_depend_on_their_scale(folder: str) -> None:
    with torch.no_grad():
        model = make(folder)
        once = model(batch_of(IDS, MASK, visual=features()))
        torch.testing.assert_close(model(batch_of(IDS, MASK, visual=100 * features())), once, atol=1e-4, rtol=1e-4)
        plain = make(folder, normalize_visual=False)
        assert not torch.allclose(
            plain(batch_of(IDS, MASK, visual=features())), plain(batch_of(IDS, MASK, visual=3 * features()))
        )


def test_standardised_features_have_no_common_part(folder: str) -> None:
    model = make(folder, standardize_visual=True)
    data = 5.0 + 0.1 * features(1)
    assert model.standardize is not None
    model.standardize.measure(data.mean(dim=(0, 1)), data.std(dim=(0, 1), unbiased=False))
    standardized = model.standardize(data)
    torch.testing.assert_close(standardized.mean(dim=(0, 1)), torch.zeros(WIDTH), atol=1e-4, rtol=0)
    torch.testing.assert_close(standardized.std(dim=(0, 1), unbiased=False), torch.ones(WIDTH), atol=1e-3, rtol=0)
    model.standardize.measure(data[0, 0], torch.zeros(WIDTH))  # all images are equal
    assert model.standardize(data[:1, :1]).eq(0).all()


@pytest.mark.parametrize("visual_input", ["noise", "ones"])
def test_ablations_ignore_the_image(folder: str, visual_input: str) -> None:
    model = make(folder, visual_input=visual_input)
    with torch.no_grad():
        torch.manual_seed(4)
        one = model(batch_of(IDS, MASK))
        torch.manual_seed(4)
        assert torch.equal(model(batch_of(IDS, MASK, visual=features())), one)


def test_pixels_go_through_the_encoder(folder: str) -> None:
    encoder = load_vision_encoder(VisionConfig("vit_tiny_patch16_224", weights="random", image_size=32))
    language = load_language_model(LanguageConfig(folder))
    torch.manual_seed(1)
    config = BottleneckConfig("lora", rank=4, routing="mul")
    model = EncoderClassifier(attach(language.model, config), (1, 192), ModelConfig(), encoder, outputs=ANSWERS).eval()
    pixels = torch.randn(3, 3, 32, 32)
    with torch.no_grad():
        found = model(batch_of(IDS, MASK, visual=pixels))
        model.vision = None
        torch.testing.assert_close(found, model(batch_of(IDS, MASK, visual=encoder(pixels))))
    assert not any(parameter.requires_grad for parameter in encoder.parameters())


def test_bottlenecks_in_the_vision_tower_train(folder: str) -> None:
    encoder = load_vision_encoder(VisionConfig("vit_tiny_patch16_224", weights="random", image_size=32))
    language = load_language_model(LanguageConfig(folder))
    tower = attach(encoder.model, BottleneckConfig("lora", rank=4, tower="vision", dropout=0.5))
    routed = attach(language.model, BottleneckConfig("lora", rank=4, routing="mul"))
    model = EncoderClassifier(routed, (1, 192), ModelConfig(), encoder, outputs=ANSWERS).train()
    for bottleneck in [*tower.bottlenecks.values(), *routed.bottlenecks.values()]:
        torch.nn.init.normal_(bottleneck.up.weight, std=0.2)
        assert bottleneck.training
    assert not encoder.model.training and not encoder.model.blocks[0].training  # type: ignore[index, union-attr]
    model(batch_of(IDS, MASK, visual=torch.randn(3, 3, 32, 32))).sum().backward()
    for name, parameter in model.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, name
    assert all(float(b.down.weight.grad.abs().sum()) > 0 for b in tower.bottlenecks.values())
    model.eval()
    assert not any(bottleneck.training for bottleneck in tower.bottlenecks.values())


def test_the_vision_tower_has_bottlenecks_per_task_too(folder: str) -> None:
    encoder = load_vision_encoder(VisionConfig("vit_tiny_patch16_224", weights="random", image_size=32))
    config = BottleneckConfig("lora", rank=4, tower="vision", per_task=True)
    encoder.routed = attach(encoder.model, config, tasks=("vqa", "gqa"))
    model = EncoderClassifier(
        attach(load_language_model(LanguageConfig(folder)).model, {}), (1, 192), ModelConfig(), encoder, outputs=ANSWERS
    ).eval()
    batch = batch_of(IDS, MASK, visual=torch.randn(3, 3, 32, 32))
    batch.dataset = "gqa"
    model(batch).sum().backward()
    for key, bottleneck in encoder.routed.bottlenecks.items():
        assert (bottleneck.up.weight.grad is None) == key.endswith("@vqa"), key
    batch.dataset = "coco"
    with pytest.raises(ValueError, match="look_at: task is 'coco'; there are bottlenecks for 'vqa', 'gqa'"):
        model(batch)


def test_without_an_image_it_says_what_is_missing(folder: str) -> None:
    with pytest.raises(ValueError, match=r"needs `visual`: features \(B, V, Dv\), or pixels"):
        make(folder)(batch_of(IDS, MASK))


def test_training_mode_is_for_what_trains(folder: str) -> None:
    torch.manual_seed(1)
    language = load_language_model(LanguageConfig(folder)).model
    config = BottleneckConfig("lora", rank=4, routing="mul", dropout=0.5)
    model = EncoderClassifier(attach(language, config), (1, WIDTH), ModelConfig(), outputs=ANSWERS)
    for bottleneck in model.routed.bottlenecks.values():
        torch.nn.init.normal_(bottleneck.up.weight)
    model.train()
    assert not model.language.training and not model.language.encoder.layer[0].attention.self.dropout.training
    assert not torch.equal(model(batch_of(IDS, MASK, visual=features())), model(batch_of(IDS, MASK, visual=features())))
    model.eval()
    assert torch.equal(model(batch_of(IDS, MASK, visual=features())), model(batch_of(IDS, MASK, visual=features())))
    enable_gradient_checkpointing(language)
    model.train()
    assert all(layer.training for layer in language.encoder.layer)
    assert not language.encoder.layer[0].attention.self.training
