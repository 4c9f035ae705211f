"""How many tokens the language model of an experiment would read of a text, if nothing was cut."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from vlrouting.backbones.language import load_tokenizer
from vlrouting.backbones.location import BackboneError
from vlrouting.config import TASKS, ExperimentConfig
from vlrouting.data.example import Example
from vlrouting.data.inspection.description import TokenCounter
from vlrouting.progress_bar import say


def token_counter(config: ExperimentConfig, tokenizer: Any, key_of: Callable[[str], str] = str) -> TokenCounter:
    """Counts the tokens of a caption with its end token, where captions are generated, else of a question's prompt.

    Args:
        config: the experiment, as one dataset has it.
        tokenizer: of its language model.
        key_of: where a value of `config` is given (`ExperimentConfig.key_of`).
    """
    if TASKS.facts(config.task).command == "caption":
        key = key_of("data.max_target_tokens")
        return TokenCounter(partial(_of_captions, tokenizer), config.data.max_target_tokens, key)
    prompts = partial(_of_prompts, tokenizer, config.data.prompt, not config.generates)
    return TokenCounter(prompts, config.data.max_text_tokens, key_of("data.max_text_tokens"))


def token_counter_of(config: ExperimentConfig, key_of: Callable[[str], str] = str) -> TokenCounter | None:
    """The same with the experiment's own tokenizer; None, with a line that says why, where it cannot be loaded."""
    try:
        return token_counter(config, load_tokenizer(config.language), key_of)
    except BackboneError as error:
        say(f"no lengths in tokens: {error}")
        return None


def _of_captions(tokenizer: Any, examples: Sequence[Example]) -> list[int]:
    captions = [caption for example in examples for caption in example.answers]
    return [length + 1 for length in _lengths(tokenizer, captions, special=False)]


def _of_prompts(tokenizer: Any, prompt: str, special: bool, examples: Sequence[Example]) -> list[int]:
    return _lengths(tokenizer, [prompt.format(text=example.text) for example in examples], special)


def _lengths(tokenizer: Any, texts: list[str], special: bool) -> list[int]:
    encoded = tokenizer(
        texts,
        truncation=False,
        padding=False,
        add_special_tokens=special,
        return_attention_mask=False,
        return_token_type_ids=False,
        verbose=False,  # that a text is longer than the model takes is what is counted here
    )
    return [len(row) for row in encoded["input_ids"]]
