from pathlib import Path

import pytest
import torch

from tests.tiny_backbones import save_tiny_roberta
from vlrouting.backbones.language import enable_gradient_checkpointing, load_language_model
from vlrouting.backbones.vision import load_vision_encoder
from vlrouting.config import BottleneckConfig, LanguageConfig, ModelConfig, VisionConfig
from vlrouting.models.encoder_classifier import QuestionAnsweringModel

WIDTH, ANSWERS = 32, 7
IDS = torch.tensor([[0, 5, 6, 7, 2], [0, 8, 9, 2, 1], [0, 5, 2, 1, 1]])
MASK = (IDS != 1).long()


@pytest.fixture
def folder(tmp_path: Path) -> str:
    return str(save_tiny_roberta(tmp_path, WIDTH))


def make(folder: str, shape: tuple[int, int] | None = (1, WIDTH), **options: object) -> QuestionAnsweringModel:
    routing = "none" if shape is None else "mul"
    torch.manual_seed(1)
    language = load_language_model(LanguageConfig(folder))
    config = BottleneckConfig("lora", rank=4, routing=routing)
    model = QuestionAnsweringModel(language.model, config, ANSWERS, shape, ModelConfig(**options))  # type: ignore[arg-type]
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
        torch.testing.assert_close(model(IDS, MASK, features=visual), expected)


def test_the_text_is_embedded_once(folder: str) -> None:
    """Position and type embeddings and the norm come after: the input is word embeddings, not an embedding layer's
    output."""
    model = make(folder, None, visual_input="none")
    with torch.no_grad():
        expected = model.head(model.language(input_ids=IDS, attention_mask=MASK).last_hidden_state[:, 0])
        # Positions of padding differ between the two ways in, and padding is masked.
        torch.testing.assert_close(model(IDS, MASK), expected)


def test_padding_changes_nothing(folder: str) -> None:
    model = make(folder)
    longer, mask = torch.nn.functional.pad(IDS, (0, 4), value=1), torch.nn.functional.pad(MASK, (0, 4))
    with torch.no_grad():
        short = model(IDS, MASK, features=features())
        torch.testing.assert_close(model(longer, mask, features=features()), short, atol=1e-5, rtol=1e-5)


def test_a_batch_equals_its_examples_one_by_one(folder: str) -> None:
    model = make(folder)
    visual = features()
    with torch.no_grad():
        together = model(IDS, MASK, features=visual)
        for n in range(3):
            alone = model(IDS[n : n + 1], MASK[n : n + 1], features=visual[n : n + 1])
            torch.testing.assert_close(together[n : n + 1], alone, atol=1e-5, rtol=1e-5)


def test_projector_is_the_identity_where_the_widths_agree(folder: str) -> None:
    assert isinstance(make(folder).projector, torch.nn.Identity)
    assert isinstance(make(folder, (1, 48)).projector, torch.nn.Linear)
    assert make(folder, None, visual_input="none").projector is None


def test_normalised_features_do_not_depend_on_their_scale(folder: str) -> None:
    with torch.no_grad():
        model = make(folder)
        once = model(IDS, MASK, features=features())
        torch.testing.assert_close(model(IDS, MASK, features=100 * features()), once, atol=1e-4, rtol=1e-4)
        plain = make(folder, normalize_visual=False)
        assert not torch.allclose(plain(IDS, MASK, features=features()), plain(IDS, MASK, features=3 * features()))


def test_standardised_features_have_no_common_part(folder: str) -> None:
    model = make(folder, standardize_visual=True)
    data = 5.0 + 0.1 * features(1)
    assert model.standardize is not None
    model.standardize.measure(data.mean(dim=(0, 1)), data.std(dim=(0, 1), unbiased=False))
    standardized = model.standardize(data)
    torch.testing.assert_close(standardized.mean(dim=(0, 1)), torch.zeros(WIDTH), atol=1e-4, rtol=0)
    torch.testing.assert_close(standardized.std(dim=(0, 1), unbiased=False), torch.ones(WIDTH), atol=1e-3, rtol=0)


@pytest.mark.parametrize("visual_input", ["noise", "ones"])
def test_ablations_ignore_the_image(folder: str, visual_input: str) -> None:
    model = make(folder, visual_input=visual_input)
    with torch.no_grad():
        torch.manual_seed(4)
        one = model(IDS, MASK)
        torch.manual_seed(4)
        assert torch.equal(model(IDS, MASK, features=features()), one)


def test_pixels_go_through_the_encoder(folder: str) -> None:
    encoder = load_vision_encoder(VisionConfig("vit_tiny_patch16_224", weights="random", image_size=32))
    language = load_language_model(LanguageConfig(folder))
    torch.manual_seed(1)
    config = BottleneckConfig("lora", rank=4, routing="mul")
    model = QuestionAnsweringModel(language.model, config, ANSWERS, (1, 192), ModelConfig(), encoder).eval()
    pixels = torch.randn(3, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(model(IDS, MASK, pixels=pixels), model(IDS, MASK, features=encoder(pixels)))
    assert not any(p.requires_grad for p in model.vision.parameters())  # type: ignore[union-attr]


def test_without_an_image_it_says_what_is_missing(folder: str) -> None:
    with pytest.raises(ValueError, match=r"needs visual features \(B, V, Dv\), or pixels and a vision encoder"):
        make(folder)(IDS, MASK)


def test_training_mode_is_for_what_trains(folder: str) -> None:
    torch.manual_seed(1)
    language = load_language_model(LanguageConfig(folder)).model
    config = BottleneckConfig("lora", rank=4, routing="mul", dropout=0.5)
    model = QuestionAnsweringModel(language, config, ANSWERS, (1, WIDTH), ModelConfig())
    for bottleneck in model.routed.bottlenecks.values():
        torch.nn.init.normal_(bottleneck.up.weight)
    model.train()
    assert not model.language.training and not model.language.encoder.layer[0].attention.self.dropout.training
    assert not torch.equal(model(IDS, MASK, features=features()), model(IDS, MASK, features=features()))
    model.eval()
    assert torch.equal(model(IDS, MASK, features=features()), model(IDS, MASK, features=features()))
    enable_gradient_checkpointing(language)
    model.train()
    assert all(layer.training for layer in language.encoder.layer)
    assert not language.encoder.layer[0].attention.self.training
