from functools import cache
from pathlib import Path
from random import Random

import pytest
import timm
import torch
from PIL import Image
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer

import vlrouting.backbones
from vlrouting.backbones.language import LanguageModel, load_language_model
from vlrouting.backbones.vision import VisionEncoder, load_vision_encoder
from vlrouting.config import LanguageConfig, VisionConfig
from vlrouting.shapes.caption_sentences import captions
from vlrouting.shapes.draw import draw
from vlrouting.shapes.scene import COLORS, SHAPES, SIZES, Scene, random_scene

MINI = Path(vlrouting.backbones.__file__).parent / "mini"
VIT, GPT2, BART = (f"package:vlrouting/backbones/mini/{name}_shapes" for name in ("vit", "gpt2", "bart"))
END = "<|endoftext|>"


@cache
def encoder() -> VisionEncoder:
    return load_vision_encoder(VisionConfig(VIT))


@cache
def language() -> LanguageModel:
    return load_language_model(LanguageConfig(GPT2), "causal")


def scenes(count: int, seed: str) -> list[Scene]:
    random = Random(seed)
    return [random_scene(random, held_out=None) for _ in range(count)]


def features(shown: list[Scene]) -> Tensor:
    """(N, Dv + 1), float64: class token, and a one for the bias."""
    pixels = torch.stack([encoder().transform(draw(scene)) for scene in shown])
    tokens = torch.cat([encoder()(part)[:, 0] for part in pixels.split(250)]).double()
    return torch.cat([tokens, torch.ones(len(tokens), 1, dtype=torch.float64)], dim=1)


def contents(shown: list[Scene]) -> Tensor:
    """(N, 9, 13), float64: for each cell ones at the colour, the shape and the size of its thing, zeros if empty."""
    values = [*COLORS, *SHAPES, *SIZES]
    told = torch.zeros(len(shown), 9, len(values), dtype=torch.float64)
    for row, scene in enumerate(shown):
        for thing in scene.things:
            for value in (thing.color, thing.shape, thing.size):
                told[row, 3 * thing.row + thing.column, values.index(value)] = 1
    return told


def test_the_class_token_tells_linearly_what_is_in_every_cell() -> None:
    """A probe by least squares, fitted on other pictures."""
    shown, fresh = scenes(2000, "to fit the probe"), scenes(300, "to test the probe")
    probe = torch.linalg.lstsq(features(shown), contents(shown).flatten(1)).solution
    told, true = (features(fresh) @ probe).unflatten(1, (9, 13)), contents(fresh)
    full = true.sum(-1) > 0
    there = told[..., 6:11].sum(-1) > 0.5  # the shapes' sum is one for a thing
    assert (there == full).double().mean() > 0.99
    for name, part in (("color", slice(0, 6)), ("shape", slice(6, 11)), ("size", slice(11, 13))):
        right = (told[..., part].argmax(-1) == true[..., part].argmax(-1))[full].double().mean()
        assert right > 0.95, name


def test_the_vit_is_a_plain_timm_model() -> None:
    model = timm.create_model(f"local-dir:{MINI / 'vit_shapes'}", pretrained=True)
    pixels = encoder().transform(Image.new("RGB", (64, 64), (230, 230, 230))).unsqueeze(0)
    with torch.inference_mode():
        torch.testing.assert_close(model.eval()(pixels), encoder()(pixels)[:, 0])
    assert type(model).__name__ == "VisionTransformer"
    assert (
        encoder()(pixels).shape[-1] == language().width == bart().width == 192
    )  # so that the projector is the identity


def perplexity(texts: list[str]) -> float:
    losses, count = 0.0, 0
    for text in texts:
        ids = torch.tensor([language().tokenizer(END + text + END)["input_ids"]])
        with torch.inference_mode():
            losses += float(language().model(input_ids=ids, labels=ids).loss) * (ids.shape[1] - 1)
        count += ids.shape[1] - 1
    return float(torch.tensor(losses / count).exp())


def test_the_gpt2_knows_the_language_of_the_world() -> None:
    random = Random("fresh captions")
    texts = [random.choice(captions(scene, random)) for scene in scenes(100, "fresh scenes")]
    shuffled = [" ".join(random.sample(text.split(), len(text.split()))) for text in texts]
    assert perplexity(texts) < 3
    assert perplexity(shuffled) > 10 * perplexity(texts)


def test_the_gpt2_writes_sentences_of_its_own() -> None:
    """From nothing: one sentence in the words of the captions (or a question with its answer), and then the end."""
    model = AutoModelForCausalLM.from_pretrained(MINI / "gpt2_shapes", dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(MINI / "gpt2_shapes")
    start = torch.tensor([[tokenizer.eos_token_id]])
    random = Random("words of the world")
    known = {word for scene in scenes(2000, "words") for text in captions(scene, random) for word in text.split()}
    torch.manual_seed(0)
    greedy = model.generate(start, max_new_tokens=60, do_sample=False, pad_token_id=0)
    drawn = model.generate(start, max_new_tokens=60, do_sample=True, top_p=0.9, num_return_sequences=20, pad_token_id=0)
    texts = tokenizer.batch_decode([*greedy, *drawn], skip_special_tokens=True)
    sentences = [text for text in texts if "? " not in text]
    assert len(set(texts)) > 10
    for text in sentences:
        assert text[0].isupper() and text.endswith(".") and set(text.split()) <= known, text


@cache
def bart() -> LanguageModel:
    return load_language_model(LanguageConfig(BART), kind="encoder_decoder")


def restored(text: str) -> str:
    """What the BART makes of a text with masks."""
    model, tokenizer = bart().model, bart().tokenizer
    ids = torch.tensor([tokenizer(text)["input_ids"]])
    with torch.inference_mode():
        written = model.generate(input_ids=ids, decoder_start_token_id=2, eos_token_id=2, pad_token_id=1, max_length=96)
    return str(tokenizer.decode(written[0], skip_special_tokens=True))


def test_the_bart_restores_what_another_sentence_tells() -> None:
    """The answer to a question, where a caption has it."""
    right = []
    for color in COLORS:
        for shape in ("circle", "star"):
            text = f"A large {color} {shape}. What color is the {shape}? "
            right.append(restored(f"{text}<mask>") == f"{text}{color}")
    assert sum(right) >= 0.8 * len(right)
    sentence = "A small red circle is to the left of a large blue star."
    assert restored(sentence.replace("circle is", "<mask> is")).endswith(" is to the left of a large blue star.")


@pytest.mark.parametrize("name", ["vit_shapes", "gpt2_shapes", "bart_shapes"])
def test_weights_are_half_precision_and_loaded_in_full(name: str) -> None:
    model = {"vit_shapes": encoder, "gpt2_shapes": lambda: language().model, "bart_shapes": lambda: bart().model}[
        name
    ]()
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert (MINI / name / "model.safetensors").stat().st_size < 2.2 * sum(p.numel() for p in model.parameters())


def test_they_are_small() -> None:
    files = [path for path in MINI.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 15_000_000
    assert (MINI / "bart_shapes" / "model.safetensors").stat().st_size <= 6_000_000
