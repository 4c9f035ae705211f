"""The arithmetic of batches and steps, where the number of examples is known, and of sequence lengths."""

from __future__ import annotations

from collections.abc import Iterator

from vlrouting.config import TASKS, ExperimentConfig
from vlrouting.data.datasets.presence import answers_path
from vlrouting.data.datasets.registry import chosen_splits
from vlrouting.data.example import DataError
from vlrouting.doctor.data import reading
from vlrouting.doctor.finding import FAULT, OK, WARNING, Finding, from_sentence
from vlrouting.doctor.sizes import Misfit, NotKnown, sizes
from vlrouting.doctor.subject import Surroundings

PLACE = "batches"


def steps(config: ExperimentConfig, where: Surroundings) -> Iterator[Finding]:
    """There is at least one batch, an example for every device, and a schedule that ends where training does."""
    from vlrouting.data.loading.sampler import whole_batches

    examples = reading(config, where).examples
    if examples is None:
        return
    training = where.once(("training", repr(config.data), config.task), lambda: _training_examples(config, where))
    try:
        per_epoch = whole_batches(training, config.train.batch_size)
    except DataError as error:
        yield from_sentence(FAULT, PLACE, str(error))
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


def vocabulary(config: ExperimentConfig, where: Surroundings) -> Iterator[Finding]:
    """A classifier has answers to choose among."""
    found = None if config.generates else _vocabulary(config, where)
    if isinstance(found, str):
        yield from_sentence(FAULT, "answers", found)
    elif found is not None:
        yield Finding(OK, "answers", f"{found:,} answers to choose among")


def lengths(config: ExperimentConfig, where: Surroundings) -> Iterator[Finding]:
    """The language model has a position for every token."""
    try:
        size = sizes(config, where)
    except (NotKnown, Misfit):
        return
    longest = size.sequence(config)
    if size.positions is not None and longest > size.positions:
        found = (
            f"image and text may take {longest} tokens, {size.visual_tokens} of them the image's, and "
            f"{config.language.name} has {size.positions} positions"
        )
        yield Finding(WARNING, "lengths", found, "lower data.max_text_tokens or data.max_target_tokens")
    elif size.positions is not None:
        yield Finding(OK, "lengths", f"at most {longest} tokens for {size.positions} positions")


def vocabulary_size(config: ExperimentConfig, where: Surroundings) -> int | None:
    """Answers of the vocabulary; None where it cannot be read or built yet."""
    found = _vocabulary(config, where)
    return found if isinstance(found, int) else None


def _vocabulary(config: ExperimentConfig, where: Surroundings) -> int | str | None:
    """Its size, or what is wrong with it; None where it cannot be told yet."""
    return where.once(("vocabulary", repr(config.data), config.task), lambda: _read_vocabulary(config, where))


def _read_vocabulary(config: ExperimentConfig, where: Surroundings) -> int | str | None:
    path, examples = answers_path(config.data), reading(config, where).examples
    if not path.exists() if path is not None else examples is None:
        return None
    try:
        return len(TASKS.load(config.task).answers(config.data, examples[config.data.train] if examples else []))
    except DataError as error:
        return str(error)


def _training_examples(config: ExperimentConfig, where: Surroundings) -> int:
    """Texts or questions of an epoch."""
    examples = reading(config, where).examples
    assert examples is not None
    return len(TASKS.load(config.task).training_examples(examples[config.data.train]))
