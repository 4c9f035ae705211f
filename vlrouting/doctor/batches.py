"""The arithmetic of batches and steps, where the number of examples is known, and of sequence lengths."""

from __future__ import annotations

from collections.abc import Iterator

from vlrouting.config import TASKS, ExperimentConfig
from vlrouting.config.finding import FAULT, OK, WARNING, Finding
from vlrouting.data.datasets.registry import chosen_splits
from vlrouting.data.example import DataError
from vlrouting.doctor.data import reading, vocabulary_of
from vlrouting.doctor.sizes import Misfit, NotKnown, model_size
from vlrouting.doctor.subject import RunContext

PLACE = "batches"


def steps(config: ExperimentConfig, context: RunContext) -> Iterator[Finding]:
    """There is at least one batch, an example for every device, and a schedule that ends where training does."""
    from vlrouting.data.loading.sampler import whole_batches

    examples = reading(config, context).examples
    if examples is None:
        return
    training = context.once(("training", repr(config.data), config.task), lambda: _training_examples(config, context))
    try:
        per_epoch = whole_batches(training, config.train.batch_size)
    except DataError as error:
        yield Finding(FAULT, PLACE, str(error), f"set train.batch_size to at most {training}")
        return
    total = config.train.max_steps or (config.train.epochs or 1) * per_epoch
    for name in chosen_splits(config.data)[1:]:
        count = min(len(examples[name]), config.evaluate.limit or len(examples[name]))
        if count < config.train.processes:
            found = f"the split '{name}' has {count} examples for {config.train.processes} processes"
            yield Finding(FAULT, PLACE, found, f"set train.devices x train.nodes to at most {count}")
    if (config.train.warmup_steps or 0) >= total:
        found = f"train.warmup_steps is {config.train.warmup_steps}, and training ends after {total} steps"
        yield Finding(WARNING, PLACE, found, "set train.warmup_fraction instead, or train for longer")
    yield Finding(OK, PLACE, f"{training:,} training examples: {per_epoch:,} steps an epoch, {total:,} in all")


def vocabulary(config: ExperimentConfig, context: RunContext) -> Iterator[Finding]:
    """A classifier has answers to choose among."""
    found = None if config.generates else vocabulary_of(config, context)
    if isinstance(found, str):
        yield Finding(FAULT, "answers", found, "correct the vocabulary, or how it is built")
    elif found is not None:
        yield Finding(OK, "answers", f"{found:,} answers to choose among")


def lengths(config: ExperimentConfig, context: RunContext) -> Iterator[Finding]:
    """The language model has a position for every token."""
    try:
        size = model_size(config, context)
    except (NotKnown, Misfit):
        return
    longest = size.longest(config)
    if size.positions is not None and longest > size.positions:
        found = (
            f"image and text may take {longest} tokens, {size.prefix(config)} of them the image's, and "
            f"{config.language.name} has {size.positions} positions"
        )
        yield Finding(WARNING, "lengths", found, "lower data.max_text_tokens or data.max_target_tokens")
    elif size.positions is not None:
        yield Finding(OK, "lengths", f"at most {longest} tokens for {size.positions} positions")


def _training_examples(config: ExperimentConfig, context: RunContext) -> int:
    """Texts or questions of an epoch."""
    examples = reading(config, context).examples
    assert examples is not None
    return len(TASKS.load(config.task).training_examples(examples[config.data.train]))
