"""The arithmetic of batches and steps, where the number of examples is known, and of sequence lengths."""

from __future__ import annotations

from collections.abc import Iterator

from vlrouting.config import TASKS, ExperimentConfig
from vlrouting.config.finding import FAULT, OK, WARNING, Finding
from vlrouting.data.datasets.registry import chosen_splits
from vlrouting.data.example import DataError
from vlrouting.doctor.data import reading, vocabulary_of
from vlrouting.doctor.sizes import Misfit, NotKnown, model_size
from vlrouting.doctor.subject import KeyOf, RunContext, of_dataset

PLACE = "batches"


def steps(config: ExperimentConfig, context: RunContext) -> Iterator[Finding]:
    """There is at least one batch, an example for every device, and a schedule that ends where training does."""
    from vlrouting.data.loading.sampler import whole_batches

    counts = {name: _training_examples(view, context) for name, view in config.per_dataset.items()}
    per_epoch: dict[str, int] = {}
    for name, view in config.per_dataset.items():
        if (training := counts[name]) is None:
            continue
        try:
            per_epoch[name] = whole_batches(training, view.train.batch_size)
        except DataError as error:
            remedy = f"set {config.key_of(name, 'train.batch_size')} to at most {training}"
            yield of_dataset(config, name, Finding(FAULT, PLACE, str(error), remedy))
            continue
        yield from (of_dataset(config, name, finding) for finding in _too_small_splits(view, context))
    if len(per_epoch) < len(counts):
        return
    epoch = len(per_epoch) * max(per_epoch.values())  # a round is a step of each dataset
    total = config.train.max_steps or (config.train.epochs or 1) * epoch
    if (config.train.warmup_steps or 0) >= total:
        found = f"train.warmup_steps is {config.train.warmup_steps}, and training ends after {total} steps"
        yield Finding(WARNING, PLACE, found, "set train.warmup_fraction instead, or train for longer")
    each = [f"{name} {counts[name]:,} ({steps:,} steps)" for name, steps in per_epoch.items()]
    examples = (
        f"{', '.join(each)} training examples" if config.datasets else f"{counts[config.data.name]:,} training examples"
    )
    yield Finding(OK, PLACE, f"{examples}: {epoch:,} steps an epoch, {total:,} in all")


def _too_small_splits(config: ExperimentConfig, context: RunContext) -> Iterator[Finding]:
    """Splits that have no example for some of the processes."""
    examples = reading(config, context).examples
    if examples is None:
        return
    for name in chosen_splits(config.data)[1:]:
        count = min(len(examples[name]), config.evaluate.limit or len(examples[name]))
        if count < config.train.processes:
            found = f"the split '{name}' has {count} examples for {config.train.processes} processes"
            yield Finding(FAULT, PLACE, found, f"set train.devices x train.nodes to at most {count}")


def vocabulary(config: ExperimentConfig, context: RunContext, key_of: KeyOf) -> Iterator[Finding]:
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
    for name, view in config.per_dataset.items():
        longest, keys = size.longest(view, name), ("data.max_text_tokens", "data.max_target_tokens")
        if size.positions is None:
            continue
        if longest <= size.positions:
            yield of_dataset(
                config, name, Finding(OK, "lengths", f"at most {longest} tokens for {size.positions} positions")
            )
            continue
        found = (
            f"image and text may take {longest} tokens, {size.prefix(view, name)} of them the image's, and "
            f"{config.language.name} has {size.positions} positions"
        )
        remedy = f"lower {' or '.join(config.key_of(name, key) for key in keys)}"
        yield of_dataset(config, name, Finding(WARNING, "lengths", found, remedy))


def _training_examples(config: ExperimentConfig, context: RunContext) -> int | None:
    """Texts or questions of an epoch of one dataset; None where they are not known."""
    examples = reading(config, context).examples
    if examples is None:
        return None
    key = ("training", repr(config.data), config.task)
    return context.once(key, lambda: len(TASKS.load(config.task).training_examples(examples[config.data.train])))
