"""Tiny random models of the real transformers classes, one per family."""

import torch
import transformers
from transformers import PreTrainedModel

from vlrouting.data.example import Example
from vlrouting.data.loading.batch import Batch

WIDTH = 24


def tiny(family: str, seed: int = 0, vocabulary: int = 50) -> PreTrainedModel:
    """A float32 model in eval mode without dropout."""
    torch.manual_seed(seed)
    small = {"vocab_size": vocabulary, "bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 1}
    encoder = {**small, "hidden_size": WIDTH, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 48}
    decoder = {**encoder, "num_key_value_heads": 3, "max_position_embeddings": 64}
    bart = {
        **small, "d_model": WIDTH, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 3,
        "decoder_attention_heads": 3, "encoder_ffn_dim": 48, "decoder_ffn_dim": 48, "max_position_embeddings": 40,
        "decoder_start_token_id": 2, "forced_eos_token_id": 2, "dropout": 0.0,
    }  # fmt: skip
    t5 = {
        **small, "d_model": WIDTH, "num_layers": 2, "num_heads": 3, "d_kv": 8, "d_ff": 48, "decoder_start_token_id": 1,
        "dropout_rate": 0.0,
    }  # fmt: skip
    models = {
        "bert": lambda: transformers.BertModel(transformers.BertConfig(**encoder)),
        "roberta": lambda: transformers.RobertaModel(transformers.RobertaConfig(**encoder, max_position_embeddings=40)),
        "gpt2": lambda: transformers.GPT2LMHeadModel(
            transformers.GPT2Config(**small, n_embd=WIDTH, n_layer=2, n_head=3, n_positions=32)
        ),
        "bart": lambda: transformers.BartForConditionalGeneration(transformers.BartConfig(**bart)),
        "bart_scaled": lambda: transformers.BartForConditionalGeneration(
            transformers.BartConfig(**bart, scale_embedding=True)
        ),
        "t5": lambda: transformers.T5ForConditionalGeneration(transformers.T5Config(**t5)),
        "t5_gated": lambda: transformers.T5ForConditionalGeneration(
            transformers.T5Config(**t5, feed_forward_proj="gated-gelu", tie_word_embeddings=False)
        ),
        "llama": lambda: transformers.LlamaForCausalLM(transformers.LlamaConfig(**decoder)),
        "qwen2": lambda: transformers.Qwen2ForCausalLM(transformers.Qwen2Config(**decoder)),
        "qwen3": lambda: transformers.Qwen3ForCausalLM(transformers.Qwen3Config(**decoder, head_dim=8)),
    }  # fmt: skip
    model: PreTrainedModel = models[family]()
    return model.eval()


def inputs(family: str, batch: int = 3, length: int = 6, seed: int = 1) -> dict[str, torch.Tensor]:
    """Token ids for a forward of any of them."""
    ids = torch.randint(3, 50, (batch, length), generator=torch.Generator().manual_seed(seed))
    if family in ("bart", "t5"):
        return {"input_ids": ids, "decoder_input_ids": ids.flip(1)}
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


def images(batch: int = 3, visual_tokens: int = 2, seed: int = 2) -> torch.Tensor:
    """Visual features (B, V, D)."""
    return torch.randn(batch, visual_tokens, WIDTH, generator=torch.Generator().manual_seed(seed))


def batch_of(
    input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None, **tensors: torch.Tensor | None
) -> Batch:
    """A batch of these tensors, without those that are None."""
    mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
    given = {name: tensor for name, tensor in tensors.items() if tensor is not None}
    examples = [Example(number, (), "", {}) for number in range(len(input_ids))]
    return Batch(examples, {"input_ids": input_ids, "attention_mask": mask, **given})
