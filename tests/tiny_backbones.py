"""Tiny random backbones of the real classes, saved as a hub would have them."""

from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    BertConfig,
    BertModel,
    CLIPConfig,
    CLIPImageProcessor,
    CLIPModel,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaModel,
    T5Config,
    T5ForConditionalGeneration,
)

WORDS = ["what", "color", "is", "it", "?", "the", "picture", "a", "red", "green", "blue", "yellow", "yes", "no"]
SPECIAL = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]


def word_tokenizer(words: Sequence[str] = WORDS) -> PreTrainedTokenizerFast:
    """One token per word, with RoBERTa's special tokens."""
    vocabulary = {token: index for index, token in enumerate([*SPECIAL, *words])}
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


def save_tiny_bert(folder: Path, width: int = 32, layers: int = 2) -> Path:
    """A BERT of two layers, the class of MiniLM, with its tokenizer."""
    torch.manual_seed(7)
    config = BertConfig(
        vocab_size=len(SPECIAL) + len(WORDS), hidden_size=width, num_hidden_layers=layers, num_attention_heads=4,
        intermediate_size=2 * width, max_position_embeddings=64,
    )  # fmt: skip
    BertModel(config).save_pretrained(folder)
    word_tokenizer().save_pretrained(folder)
    return folder


END = "<|endoftext|>"


def byte_tokenizer() -> PreTrainedTokenizerFast:
    """A tokenizer like GPT-2's, in miniature: a token per byte, one that ends (and starts) a text, none for padding."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: index for index, token in enumerate([END, *alphabet])}
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=END, eos_token=END, unk_token=END)


def save_tiny_gpt2(folder: Path, width: int = 32, layers: int = 2) -> Path:
    """A GPT-2 of two layers with its tokenizer."""
    torch.manual_seed(6)
    tokenizer = byte_tokenizer()
    config = GPT2Config(
        vocab_size=len(tokenizer),
        n_embd=width,
        n_layer=layers,
        n_head=4,
        n_positions=96,
        bos_token_id=0,
        eos_token_id=0,
    )
    GPT2LMHeadModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def save_tiny_llama(folder: Path, width: int = 32, layers: int = 2) -> Path:
    """A Llama of two layers, the class of SmolLM2, with its tokenizer."""
    torch.manual_seed(8)
    tokenizer = byte_tokenizer()
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=width, num_hidden_layers=layers, num_attention_heads=4,
        num_key_value_heads=2, intermediate_size=2 * width, max_position_embeddings=256, bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def save_tiny_bart(folder: Path, width: int = 32, layers: int = 2, positions: int = 96) -> Path:
    """A BART of two layers in encoder and decoder with its tokenizer."""
    torch.manual_seed(9)
    config = BartConfig(
        vocab_size=len(SPECIAL) + len(WORDS), d_model=width, encoder_layers=layers, decoder_layers=layers,
        encoder_attention_heads=4, decoder_attention_heads=4, encoder_ffn_dim=2 * width, decoder_ffn_dim=2 * width,
        max_position_embeddings=positions, bos_token_id=0, pad_token_id=1, eos_token_id=2, decoder_start_token_id=2,
    )  # fmt: skip
    BartForConditionalGeneration(config).save_pretrained(folder)
    word_tokenizer().save_pretrained(folder)
    return folder


def save_tiny_t5(folder: Path, width: int = 32, layers: int = 2) -> Path:
    """A T5 of two layers in encoder and decoder with its tokenizer."""
    torch.manual_seed(11)
    config = T5Config(
        vocab_size=len(SPECIAL) + len(WORDS), d_model=width, num_layers=layers, num_heads=4, d_kv=8, d_ff=2 * width,
        pad_token_id=1, eos_token_id=2, decoder_start_token_id=1,
    )  # fmt: skip
    T5ForConditionalGeneration(config).save_pretrained(folder)
    word_tokenizer().save_pretrained(folder)
    return folder


def save_tiny_clip(folder: Path, width: int = 24, layers: int = 2) -> Path:
    """A CLIP with both towers and its image processor: 16 patches of 32 x 32 pixels."""
    torch.manual_seed(10)
    small = {"hidden_size": width, "intermediate_size": 2 * width, "num_attention_heads": 3}
    config = CLIPConfig(
        text_config={**small, "num_hidden_layers": 1, "vocab_size": 50, "bos_token_id": 0, "eos_token_id": 2},
        vision_config={**small, "num_hidden_layers": layers, "image_size": 32, "patch_size": 8},
        projection_dim=8,
    )
    CLIPModel(config).save_pretrained(folder)
    CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder
