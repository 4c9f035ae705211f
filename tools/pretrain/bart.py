"""Trains a small BART on the texts of the shapes world: it restores texts of which parts are masked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import BartConfig, BartForConditionalGeneration, PreTrainedTokenizerFast

from tools.pretrain.documents import Document, documents
from tools.pretrain.folder import new_folder, require_new
from tools.pretrain.optimize import Recipe, optimize

START, PADDING, END, UNKNOWN, MASK = SPECIAL = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
"""Special tokens, with the ids 0 to 4 in this order."""
LENGTH = 96
"""Maximum number of tokens of the encoder, including a visual prefix, and of the decoder."""
_IGNORED = -100
_MASKED = 0.3
"""Fraction of words that are masked, as in BART."""
_SPAN = 3
"""Mean number of words that one mask stands for, as in BART."""
_INFILLING = 0.5
"""Fraction of documents in which a span of masked words becomes one mask; in the others each word becomes one."""
_ANSWERS = 0.6
"""Fraction of documents with answers in which exactly one of the answers is masked."""
_TOKENIZER_DOCUMENTS = 5_000
_GROUPED = 16
"""Number of batches whose documents are sorted by length together."""


@dataclass(frozen=True)
class Restoration:
    """How well new documents are restored.

    Attributes:
        loss: cross-entropy per token, including special tokens.
        answers: fraction of documents with one masked answer that are generated again without an error.
    """

    loss: float
    answers: float


def train_bart(out: Path, vocabulary: int, test_documents: int, recipe: Recipe) -> Restoration:
    """Train the tokenizer and the BART from scratch and save both to a new folder, in float16.

    Args:
        out: the folder, for transformers' `from_pretrained`.
        vocabulary: maximum number of tokens.
        test_documents: number of new documents for the evaluation.
        recipe: optimisation and seed.

    Returns:
        How well the saved weights restore new documents.

    Raises:
        FileExistsError: the folder contains something.
    """
    require_new(out)
    tokenizer = _train_tokenizer(vocabulary, f"words {recipe.seed}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        model = _new_model(tokenizer)
        batches = _batches(tokenizer, recipe)
        optimize(model, batches, lambda batch, _: model(**batch).loss, recipe, "BART")
    model.half()
    with new_folder(out) as folder:
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    return restoration(model.float(), tokenizer, test_documents, f"texts to measure on {recipe.seed}")


@torch.no_grad()
def restoration(model: Any, tokenizer: Any, count: int, seed: str) -> Restoration:
    """How well the model restores this number of new documents, of either kind."""
    random = Random(seed)
    stream = documents(random)
    drawn = [next(stream) for _ in range(count)]
    total, tokens = 0.0, 0
    for batch in _in_parts([mask(document, random) for document in drawn], tokenizer):
        predicted = int((batch["labels"] != _IGNORED).sum())
        total, tokens = total + model(**batch).loss.item() * predicted, tokens + predicted
    restored = answered = 0
    asked = [mask_answer(document, random) for document in drawn if any(answer for _, answer in document)]
    for batch in _in_parts(asked, tokenizer):
        labels = batch.pop("labels")
        written = model.generate(**batch, max_length=LENGTH, do_sample=False, num_beams=1)[:, 1:]
        size = max(written.shape[1], labels.shape[1])
        same = _widened(written, size, tokenizer) == _widened(labels, size, tokenizer)
        restored, answered = restored + int(same.all(dim=1).sum()), answered + len(labels)
    return Restoration(total / tokens, restored / max(1, answered))


def mask(document: Document, random: Random) -> tuple[str, str]:
    """A document with masks, and the document: one answer is masked, or spans of words anywhere."""
    if any(answer for _, answer in document) and random.random() < _ANSWERS:
        return mask_answer(document, random)
    words = _text(document).split()
    masked = [False] * len(words)
    while sum(masked) < max(1, round(_MASKED * len(words))):
        start = random.randrange(len(words))
        for position in range(start, min(len(words), start + _span(random))):
            masked[position] = True
    return _source(words, masked, random), _text(document)


def mask_answer(document: Document, random: Random) -> tuple[str, str]:
    """A document with one masked answer, and the document."""
    chosen = random.choice([number for number, (_, answer) in enumerate(document) if answer])
    words: list[str] = []
    masked: list[bool] = []
    for number, (text, answer) in enumerate(document):
        for part, hidden in ((text, False), (answer, number == chosen)):
            words += part.split()
            masked += [hidden] * len(part.split())
    return _source(words, masked, random), _text(document)


def _source(words: list[str], masked: list[bool], random: Random) -> str:
    """The words with a mask for every span that is masked (text infilling), or for every word of it (token masking).

    With token masking alone the decoder would learn to copy by position; without it, it would learn to copy late.
    """
    infilling, source = random.random() < _INFILLING, list[str]()
    for word, hidden in zip(words, masked, strict=True):
        if not hidden:
            source.append(word)
        elif not (infilling and source and source[-1] == MASK):
            source.append(MASK)
    return " ".join(source)


def _text(document: Document) -> str:
    return " ".join(words for sentence in document for words in sentence if words)


def _span(random: Random) -> int:
    """A number of words, at least one, with mean `_SPAN`."""
    length = 1
    while random.random() < 1 - 1 / _SPAN:
        length += 1
    return length


def _train_tokenizer(vocabulary: int, seed: str) -> Any:
    """Byte-level BPE with BART's special tokens: it encodes any text, and words of the world with one token each."""
    texts = documents(Random(seed))
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=[*SPECIAL[:-1], AddedToken(MASK, lstrip=True)], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    tokenizer.train_from_iterator((_text(next(texts)) for _ in range(_TOKENIZER_DOCUMENTS)), trainer)
    ends = [(token, SPECIAL.index(token)) for token in (START, END)]
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{START} $A {END}", special_tokens=ends)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=START, pad_token=PADDING, eos_token=END, unk_token=UNKNOWN,
        mask_token=AddedToken(MASK, lstrip=True), model_max_length=LENGTH,
    )  # fmt: skip


def _new_model(tokenizer: Any) -> Any:
    config = BartConfig(
        vocab_size=len(tokenizer), max_position_embeddings=LENGTH, d_model=192, encoder_layers=3, decoder_layers=3,
        encoder_attention_heads=6, decoder_attention_heads=6, encoder_ffn_dim=512, decoder_ffn_dim=512, dropout=0.0,
        pad_token_id=tokenizer.pad_token_id, bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
        decoder_start_token_id=tokenizer.eos_token_id, forced_eos_token_id=None,
    )  # fmt: skip
    return BartForConditionalGeneration(config)


def _batches(tokenizer: Any, recipe: Recipe) -> Iterator[dict[str, Tensor]]:
    """An infinite stream of batches; the documents of a batch have similar lengths."""
    random = Random(f"texts to learn from {recipe.seed}")
    stream = documents(random)
    while True:
        drawn = [mask(next(stream), random) for _ in range(_GROUPED * recipe.batch_size)]
        drawn.sort(key=lambda pair: len(pair[1].split()))
        starts = list(range(0, len(drawn), recipe.batch_size))
        random.shuffle(starts)
        for start in starts:
            yield _batch(drawn[start : start + recipe.batch_size], tokenizer)


def _in_parts(pairs: list[tuple[str, str]], tokenizer: Any) -> Iterator[dict[str, Tensor]]:
    return (_batch(pairs[start : start + 100], tokenizer) for start in range(0, len(pairs), 100))


def _batch(pairs: list[tuple[str, str]], tokenizer: Any) -> dict[str, Tensor]:
    """Sources and targets as the arguments of the model, (B, T) each, cut off at LENGTH tokens."""
    sources, targets = (
        [torch.tensor(ids[:LENGTH]) for ids in tokenizer(list(texts))["input_ids"]]
        for texts in zip(*pairs, strict=True)
    )
    source = pad_sequence(sources, batch_first=True, padding_value=tokenizer.pad_token_id)
    labels = pad_sequence(targets, batch_first=True, padding_value=_IGNORED)
    return {"input_ids": source, "attention_mask": (source != tokenizer.pad_token_id).long(), "labels": labels}


def _widened(ids: Tensor, size: int, tokenizer: Any) -> Tensor:
    """The ids with padding up to a size, (B, size); labels without a target are padding too."""
    filled = ids.masked_fill(ids == _IGNORED, tokenizer.pad_token_id)
    return torch.nn.functional.pad(filled, (0, size - ids.shape[1]), value=tokenizer.pad_token_id)
