"""A small GPT-2 that learns the world's English from sentences alone: captions, and questions with their answers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from tools.pretrain.folder import new_folder, refuse_taken
from tools.pretrain.optimize import Recipe, optimize
from vlrouting.shapes.caption_sentences import captions
from vlrouting.shapes.scene import random_scene
from vlrouting.shapes.vqa_questions import ask

END = "<|endoftext|>"
"""Ends a text, and begins one that nothing goes before, as GPT-2 has it."""
LENGTH = 64
"""Most tokens, a visual prefix included."""
_IGNORED = -100
_QUESTIONS = 0.3
"""Share of the texts that are a question with its answer."""
_TOKENIZER_TEXTS = 5_000


def sentences(random: Random) -> Iterator[str]:
    """Texts without end, each about a scene of its own; no combination of colour and shape is left out."""
    while True:
        scene = random_scene(random, held_out=None)
        if random.random() < _QUESTIONS:
            question, answer = random.choice(ask(scene, random))
            yield f"{question} {answer}"
        else:
            yield random.choice(captions(scene, random))


def train_gpt2(out: Path, vocabulary: int, test_texts: int, recipe: Recipe) -> float:
    """Trains the tokenizer and the GPT-2 from nothing and writes both to a new folder, in float16.

    Args:
        out: transformers' `from_pretrained` loads model and tokenizer from it.
        vocabulary: how many tokens at most.
        test_texts: how many other texts to measure on.

    Returns:
        Perplexity per token, ends included, of the weights as they are written.

    Raises:
        FileExistsError: something is there already.
    """
    refuse_taken(out)
    tokenizer = _train_tokenizer(vocabulary, f"words {recipe.seed}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        model = _new_model(tokenizer)
        batches = _batches(tokenizer, recipe)
        optimize(model, batches, lambda ids, _: model(input_ids=ids, labels=ids).loss, recipe, "GPT-2")
    model.half()
    with new_folder(out) as folder:
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    texts = sentences(Random(f"texts to measure on {recipe.seed}"))
    return perplexity(model.float(), tokenizer, [next(texts) for _ in range(test_texts)])


@torch.no_grad()
def perplexity(model: Any, tokenizer: Any, texts: list[str]) -> float:
    """Per token of these texts, each begun from nothing, its end included."""
    total, count = 0.0, 0
    for start in range(0, len(texts), 100):
        ids, labels = _padded(tokenizer, [END + text + END for text in texts[start : start + 100]])
        predicted = int((labels[:, 1:] != _IGNORED).sum())
        total, count = total + model(input_ids=ids, labels=labels).loss.item() * predicted, count + predicted
    return math.exp(total / count)


def _train_tokenizer(vocabulary: int, seed: str) -> Any:
    """Byte-level BPE, as GPT-2's: any text has tokens, and the world's words have one each."""
    texts = sentences(Random(seed))
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=[END], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    tokenizer.train_from_iterator((next(texts) for _ in range(_TOKENIZER_TEXTS)), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=END, eos_token=END, unk_token=END, model_max_length=LENGTH
    )


def _new_model(tokenizer: Any) -> Any:
    end = tokenizer.eos_token_id
    config = GPT2Config(
        vocab_size=len(tokenizer), n_positions=LENGTH, n_embd=192, n_layer=4, n_head=6, bos_token_id=end,
        eos_token_id=end, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
    )  # fmt: skip
    return GPT2LMHeadModel(config)


def _batches(tokenizer: Any, recipe: Recipe) -> Iterator[Tensor]:
    """Token ids (B, LENGTH), without end: texts one after the other, cut off where the row is full.

    So every position is trained, and a text may stand anywhere. Half of the rows begin with an end, half with a word,
    as behind a visual prefix.
    """
    random = Random(f"texts to learn from {recipe.seed}")
    texts = sentences(random)
    while True:
        rows = []
        for _ in range(recipe.batch_size):
            ids = [tokenizer.eos_token_id] if random.random() < 0.5 else []
            while len(ids) < LENGTH:
                ids += tokenizer(next(texts) + END)["input_ids"]
            rows.append(ids[:LENGTH])
        yield torch.tensor(rows)


def _padded(tokenizer: Any, texts: list[str]) -> tuple[Tensor, Tensor]:
    """Token ids and labels of texts of different lengths, (B, T) each."""
    rows = [torch.tensor(ids) for ids in tokenizer(texts)["input_ids"]]
    labels = pad_sequence(rows, batch_first=True, padding_value=_IGNORED)
    return pad_sequence(rows, batch_first=True, padding_value=tokenizer.eos_token_id), labels
