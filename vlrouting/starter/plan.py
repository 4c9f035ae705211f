"""Decides what the experiment of a new table does, and how long it trains."""

from __future__ import annotations

import math
from dataclasses import dataclass

from vlrouting.starter.findings import Findings, TextLength

CLASSIFICATION, GENERATION, CAPTIONING = "vqa_classification", "vqa_generation", "captioning"
REPEATED = 0.8
"""Share of the rows whose answer is that of another row too, from which on answers are chosen from a list."""
BATCH = 16
"""Examples of a step: what two cores do in a twentieth of a second with the built-in models."""
MANY_PICTURES = 2000
"""More are scaled down to 128 pixels: features in a quarter of the time, on one core 12 ms instead of 50 each."""
_PASSES = 10
"""Over the training split, within the bounds below."""
_STEPS = {CLASSIFICATION: (200, 1000), GENERATION: (400, 1000), CAPTIONING: (400, 1000)}
"""Fewest and most steps. The small GPT-2 needs more than the encoder, which only has to choose."""
BUILT_IN_POSITIONS = 64
"""Tokens that the built-in GPT-2 reads and generates together, images included."""
_LEAST_GENERATED = 16
"""Of these, so many are left for an answer however long the question is."""
_BYTES_PER_TOKEN = 1.2
"""Of the built-in vocabulary: 1.2 to 2 in sentences that are not about shapes, 4.5 in those that are."""


@dataclass(frozen=True)
class Wishes:
    """What the user has decided already."""

    task: str | None = None
    language: str | None = None
    vision: str | None = None


@dataclass(frozen=True)
class Plan:
    """The values of an experiment that depend on the table."""

    task: str
    reason: str
    """Why this task."""
    language: str | None
    """A model by name; None for the built-in one."""
    vision: str | None
    """The same."""
    steps: int
    batch_size: int
    text_tokens: int
    """Most tokens of a question; 0 for captions."""
    target_tokens: int
    """Most tokens of a generated text; 0 where answers are chosen."""
    small_images: bool
    """Whether the pictures are scaled down to 128 pixels."""
    cut: str
    """What the built-in language model cannot read or generate; empty where it can."""


def plan(found: Findings, wishes: Wishes, captions: bool) -> Plan:
    """Decide.

    Args:
        found: what the table has.
        wishes: of the user.
        captions: whether the table was read for its captions.
    """
    task, reason = (CAPTIONING, "the table has captions") if captions else _answers(found)
    if wishes.task is not None:
        task, reason = wishes.task, "--task says so"
    fewest, most = _STEPS[task]
    steps = 50 * round(min(most, max(fewest, _PASSES * found.splits["train"].rows / BATCH)) / 50)
    built_in = task != CLASSIFICATION and wishes.language is None
    text, target = (_small_model_tokens if built_in else _tokens)(found, task)
    return Plan(
        task=task,
        reason=reason,
        language=wishes.language,
        vision=wishes.vision,
        steps=steps,
        batch_size=BATCH,
        text_tokens=text,
        target_tokens=target,
        small_images=wishes.vision is None and len(found.used) > MANY_PICTURES,
        cut=_cut(found, text, target) if built_in else "",
    )


def _answers(found: Findings) -> tuple[str, str]:
    """Whether the answers come from a list."""
    share = f"{found.repeated_share:.0%} of the rows share their answer with another row"
    return (CLASSIFICATION if found.repeated_share >= REPEATED else GENERATION), share


def _tokens(found: Findings, task: str) -> tuple[int, int]:
    """Room for the longest question and the longest target, by a language model with a large vocabulary."""
    text = 0 if task == CAPTIONING else _rounded(1.5 * found.texts.words + 8, 8)
    target = 0 if task == CLASSIFICATION else _rounded(1.5 * found.targets.words + 4, 8)
    return min(text, 256), min(target, 256)


def _small_model_tokens(found: Findings, task: str) -> tuple[int, int]:
    """Room in the built-in language model, as far as it reaches."""
    room = BUILT_IN_POSITIONS - found.images_per_row
    least = 4  # for the token that captions begin with
    text = 0 if task == CAPTIONING else min(_rounded(_small_tokens(found.texts) + 2, 4), room - _LEAST_GENERATED)
    return text, min(_rounded(_small_tokens(found.targets) + 2, 4), room - max(text, least))


def _small_tokens(length: TextLength) -> int:
    """Tokens of a text in the built-in vocabulary of 458 pieces."""
    return math.ceil(length.letters / _BYTES_PER_TOKEN)


def _cut(found: Findings, text: int, target: int) -> str:
    long = [("questions", found.texts, text), ("answers" if text else "captions", found.targets, target)]
    return " and ".join(name for name, length, room in long if room and _small_tokens(length) > room)


def _rounded(number: float, unit: int) -> int:
    """Up to a multiple of a unit."""
    return unit * math.ceil(number / unit)
