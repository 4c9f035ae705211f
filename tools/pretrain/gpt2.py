"""Trains a small GPT-2 on the texts of the shapes world: captions, and questions with answers."""

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

from tools.pretrain.folder import new_folder, require_new
from tools.pretrain.optimize import Recipe, optimize
from vlrouting.shapes.caption_sentences import captions
from vlrouting.shapes.scene import random_scene
from vlrouting.shapes.vqa_questions import ask

END = "<|endoftext|>"
"""The end token, which also precedes a text without a prefix, as in GPT-2."""
LENGTH = 64
"""Maximum number of tokens, including a visual prefix."""
_IGNORED = -100
_QUESTIONS = 0.3
"""Fraction of texts that are a question with its answer."""
_TOKENIZER_TEXTS = 5_000


def sentences(random: Random) -> Iterator[str]:
    """An infinite stream of texts about random scenes, with all combinations of colour and shape."""
    while True:
        scene = random_scene(random, held_out=None)
        if random.random() < _QUESTIONS:
            question, answer = random.choice(ask(scene, random))
            yield f"{question} {answer}"
        else:
            yield random.choice(captions(scene, random))


def train_gpt2(out: Path, vocabulary: int, test_texts: int, recipe: Recipe) -> float:
    """Train the tokenizer and the GPT-2 from scratch and save both to a new folder, in float16.

    Args:
        out: the folder, for transformers' `from_pretrained`.
        vocabulary: maximum number of tokens.
        test_texts: number of new texts for the evaluation.
        recipe: optimisation and seed.

    Returns:
        Perplexity per token, including end tokens, of the saved weights.

    Raises:
        FileExistsError: the folder contains something.
    """
    require_new(out)
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
    """Perplexity per token of these texts, each without a prefix and with its end token."""
    total, count = 0.0, 0
    for start in range(0, len(texts), 100):
        ids, labels = _padded(tokenizer, [END + text + END for text in texts[start : start + 100]])
        predicted = int((labels[:, 1:] != _IGNORED).sum())
        total, count = total + model(input_ids=ids, labels=labels).loss.item() * predicted, count + predicted
    return math.exp(total / count)


def _train_tokenizer(vocabulary: int, seed: str) -> Any:
    """Byte-level BPE, like GPT-2's: it encodes any text, and the words of the shapes world with one token each."""
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
    """An infinite stream of token ids (B, LENGTH): concatenated texts, truncated at the end of the row.

    This trains all positions, and a text may start at any of them. Half of the rows start with an end token, the others
    with a word, as after a visual prefix.
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
