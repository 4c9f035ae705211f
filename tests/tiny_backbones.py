"""Tiny random backbones of the real classes, saved as a hub would have them."""

from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast, RobertaConfig, RobertaModel

WORDS = ["what", "color", "is", "it", "?", "the", "picture", "a", "red", "green", "blue", "yellow", "yes", "no"]
SPECIAL = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]


def word_tokenizer() -> PreTrainedTokenizerFast:
    """One token per word, with RoBERTa's special tokens."""
    vocabulary = {token: index for index, token in enumerate([*SPECIAL, *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", cls_token="<s>", sep_token="</s>",
        pad_token="<pad>", unk_token="<unk>", mask_token="<mask>",
    )  # fmt: skip


def save_tiny_roberta(folder: Path, width: int = 32, layers: int = 2) -> Path:
    """A RoBERTa of two layers with its tokenizer."""
    torch.manual_seed(5)
    config = RobertaConfig(
        vocab_size=len(SPECIAL) + len(WORDS), hidden_size=width, num_hidden_layers=layers, num_attention_heads=4,
        intermediate_size=2 * width, max_position_embeddings=64, type_vocab_size=1,
    )  # fmt: skip
    RobertaModel(config).save_pretrained(folder)
    word_tokenizer().save_pretrained(folder)
    return folder
