import json
from pathlib import Path
from random import Random

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer
from typer.testing import CliRunner

from tools.pretrain import bart
from tools.pretrain.__main__ import app
from tools.pretrain.documents import Document, documents
from tools.pretrain.folder import new_folder
from tools.pretrain.gpt2 import END, LENGTH, sentences
from tools.pretrain.optimize import Recipe, optimize
from tools.pretrain.readout import Readout
from tools.pretrain.scenes import NOTHING, draw_images, reading_order
from tools.pretrain.vit import SIDE, normalize
from vlrouting.backbones.vision import load_vision_encoder
from vlrouting.config import VisionConfig
from vlrouting.shapes.draw import draw
from vlrouting.shapes.scene import COLORS, SHAPES, SIZES, random_scene

VIT = ["vit", "--steps", "3", "--batch-size", "4", "--scenes", "8", "--test-scenes", "4"]
BART = ["bart", "--steps", "2", "--batch-size", "2", "--test-documents", "4"]
GPT2 = ["gpt2", "--steps", "2", "--batch-size", "2", "--test-scenes", "4"]


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == 0, result.output
    return result.output


def test_labels_describe_the_images() -> None:
    images = draw_images(20, SIDE, "a seed")
    random = Random("a seed")
    for cells in images.cells:
        scene = random_scene(random, held_out=None)
        told = {
            (row, column): (list(COLORS)[color], SHAPES[shape], SIZES[size])
            for row in range(3)
            for column in range(3)
            for color, shape, size in [cells[3 * row + column].tolist()]
            if color != NOTHING
        }
        assert told == {(thing.row, thing.column): (thing.color, thing.shape, thing.size) for thing in scene.things}


def test_the_training_sees_pixels_as_the_frozen_encoder_does(tmp_path: Path) -> None:
    run(*VIT, "--out", str(tmp_path / "vit"))
    encoder = load_vision_encoder(VisionConfig(str(tmp_path / "vit")))
    images = draw_images(3, SIDE, "a seed")
    random = Random("a seed")
    seen = torch.stack([encoder.transform(draw(random_scene(random, held_out=None))) for _ in range(3)])
    torch.testing.assert_close(normalize(images.pixels), seen)


def test_reading_order() -> None:
    cells = torch.full((2, 9, 3), NOTHING)
    cells[0, 7] = torch.tensor([5, 4, 1])
    cells[0, 2] = torch.tensor([0, 3, 0])
    cells[1, 0] = torch.tensor([1, 1, 1])
    none = [NOTHING] * 4
    assert reading_order(cells, 3).tolist() == [[[0, 3, 0, 2], [5, 4, 1, 7], none], [[1, 1, 1, 0], none, none]]


def test_readout_against_loops() -> None:
    torch.manual_seed(3)
    readout = Readout(width=5, slots=3, sizes=(4, 2))
    features, labels = torch.randn(6, 5), torch.randint(0, 2, (6, 3, 2))
    labels[torch.rand(6, 3) < 0.5] = NOTHING
    weight, bias = readout.linear.weight.detach(), readout.linear.bias.detach()
    logits = (features @ weight.T + bias).reshape(6, 3, 7)
    loss, correct = 0.0, []
    for scores, label in zip(logits.reshape(-1, 7), labels.reshape(-1, 2), strict=True):
        is_there, there = torch.sigmoid(scores[0]), label[0] != NOTHING
        loss -= float((is_there if there else 1 - is_there).log())
        if there:
            loss -= float(F.log_softmax(scores[1:5], 0)[label[0]] + F.log_softmax(scores[5:], 0)[label[1]])
            same = [int(scores[1:5].argmax()), int(scores[5:].argmax())] == label.tolist()
        correct.append(bool(is_there > 0.5) == bool(there) and (not bool(there) or same))
    assert readout.loss(features, labels).item() == pytest.approx(loss / 6, rel=1e-5)
    assert readout.correct(features, labels).flatten().tolist() == correct


def test_optimize_finds_the_minimum_and_passes_the_progress() -> None:
    torch.manual_seed(0)
    model = nn.Linear(3, 1)
    wanted = torch.tensor([1.0, -2.0, 0.5])
    shares = []

    def loss_of(batch: torch.Tensor, done: float) -> torch.Tensor:
        shares.append(done)
        return F.mse_loss(model(batch)[:, 0], batch @ wanted)

    recipe = Recipe(steps=300, batch_size=16, learning_rate=0.05, weight_decay=0.0)
    optimize(model, iter(lambda: torch.randn(16, 3), None), loss_of, recipe, "line")
    assert model.weight.detach()[0].tolist() == pytest.approx(wanted.tolist(), abs=0.01)
    assert shares == [step / 300 for step in range(300)]
    assert not model.training


def test_equal_seeds_give_equal_texts() -> None:
    first, again, other = (sentences(Random(seed)) for seed in ("a", "a", "b"))
    texts = [next(first) for _ in range(50)]
    assert texts == [next(again) for _ in range(50)] != [next(other) for _ in range(50)]
    questions = [text for text in texts if "? " in text]
    assert 5 <= len(questions) <= 25
    assert all(text.endswith(".") for text in texts if text not in questions)


def test_vit_command_writes_a_folder_that_timm_loads(tmp_path: Path) -> None:
    first, second, other = (tmp_path / name for name in ("first", "second", "other"))
    assert "new images" in run(*VIT, "--out", str(first))
    run(*VIT, "--out", str(second))
    run(*VIT, "--out", str(other), "--seed", "1")
    encoder = load_vision_encoder(VisionConfig(str(first)))
    assert encoder(torch.zeros(2, 3, SIDE, SIDE)).shape == (2, 1, 192)
    weights = [(folder / "model.safetensors").read_bytes() for folder in (first, second, other)]
    assert weights[0] == weights[1] != weights[2]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first", "other", "second"]


def test_gpt2_command_writes_a_folder_that_transformers_loads(tmp_path: Path) -> None:
    assert "perplexity" in run(*GPT2, "--out", str(tmp_path / "gpt2"))
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "gpt2", dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "gpt2")
    assert (model.config.n_embd, model.config.n_positions, model.config.vocab_size) == (192, LENGTH, len(tokenizer))
    assert model.config.eos_token_id == tokenizer.eos_token_id == tokenizer.convert_tokens_to_ids(END)
    for text in ("A large red star.", "Ünknown ☃ words"):
        assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    assert len(tokenizer("A large red star." + END)["input_ids"]) == 6


def test_documents_are_about_every_task() -> None:
    first, again, other = (documents(Random(seed)) for seed in ("a", "a", "b"))
    drawn = [next(first) for _ in range(3000)]
    assert drawn[:50] == [next(again) for _ in range(50)] != [next(other) for _ in range(50)]
    sentences = [sentence for document in drawn for sentence in document]
    assert {len(document) for document in drawn} == {1, 2, 3}
    for start, possible in (
        ("A picture of ", {""}),
        ("Is there ", {"yes", "no"}),
        ("What color ", set(COLORS)),
        ("An image shows ", {"true", "false"}),
    ):
        assert {answer for text, answer in sentences if text.startswith(start)} == possible
    assert {"red", "yes", "true"} <= {document[0][0] for document in drawn}  # answers alone


DOCUMENT: Document = [("A red star.", ""), ("What color is the star?", "red"), ("Where is the star?", "top left")]
TARGET = "A red star. What color is the star? red Where is the star? top left"


def test_masks_hide_an_answer_or_spans() -> None:
    random = Random(2)
    drawn = {bart.mask_answer(DOCUMENT, random) for _ in range(100)}
    sources = {source for source, _ in drawn}
    assert sources == {
        "A red star. What color is the star? <mask> Where is the star? top left",
        "A red star. What color is the star? red Where is the star? <mask>",
        "A red star. What color is the star? red Where is the star? <mask> <mask>",
    }
    assert {target for _, target in drawn} == {TARGET}
    counts = []
    for _ in range(300):
        source, target = bart.mask([("one two three four five six seven eight nine ten", "")], random)
        kept = [word for word in source.split() if word != bart.MASK]
        assert target.split()[-1] == "ten" and kept == [word for word in target.split() if word in kept]
        counts.append((len(kept), source.count(bart.MASK)))
    assert max(kept for kept, _ in counts) == 7  # three of ten words are masked at least
    assert any(kept + masks == 10 for kept, masks in counts)  # token masking
    assert any(kept <= 7 and masks == 1 for kept, masks in counts)  # text infilling


def test_bart_command_writes_a_folder_that_transformers_loads(tmp_path: Path) -> None:
    assert "are restored in full" in run(*BART, "--out", str(tmp_path / "bart"))
    model = AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "bart", dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "bart")
    assert (model.config.d_model, model.config.max_position_embeddings) == (192, bart.LENGTH)
    ids = tokenizer("A large red<mask> Ünknown ☃")["input_ids"]
    assert tokenizer.convert_ids_to_tokens(ids)[:5] == ["<s>", "A", "Ġlarge", "Ġred", "<mask>"]
    assert (ids[0], ids[-1]) == (model.config.bos_token_id, model.config.eos_token_id) == (0, 2)
    assert model.config.decoder_start_token_id == 2
    assert tokenizer.decode(ids, skip_special_tokens=True) == "A large red Ünknown ☃"
    # Two steps teach it nothing.
    found = bart.restoration(model.eval(), tokenizer, 30, "a seed")
    assert found.answers == 0 and found.loss > 4


@pytest.mark.parametrize("command", [VIT, GPT2, BART])
def test_an_existing_folder_is_kept(command: list[str], tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    result = CliRunner().invoke(app, [*command, "--out", str(tmp_path)])
    assert result.exit_code == 2
    assert "exists already" in result.output
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_an_interruption_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), new_folder(tmp_path / "a") as folder:
        (folder / "half").write_text("")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
    with new_folder(tmp_path / "a") as folder:
        (folder / "whole.json").write_text(json.dumps(1))
        assert not (tmp_path / "a").exists()
    assert [path.name for path in tmp_path.rglob("*")] == ["a", "whole.json"]
