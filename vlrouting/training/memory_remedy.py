"""What to change in an experiment whose memory does not suffice. Imports no torch."""

from __future__ import annotations

from vlrouting.config import ExperimentConfig


def memory_remedy(config: ExperimentConfig) -> str:
    """The settings that would save memory in this experiment, the one that changes least first."""
    train = config.train
    sizes = {config.key_of(n, "train.batch_size"): v.train.batch_size for n, v in config.per_dataset.items()}
    of_training = []
    if all(size % (2 * train.micro_batches) == 0 for size in sizes.values()):
        of_training.append(f"train.accumulate={2 * train.accumulate} (half the micro-batch, the same result)")
    if not train.gradient_checkpointing:
        of_training.append("train.gradient_checkpointing=true")
    if train.precision == "32-true":
        of_training.append("train.precision=bf16-mixed")
    if config.language.dtype == "float32":
        of_training.append("language.dtype=bfloat16")
    of_training += [f"a {key} below {size}" for key, size in sizes.items()]
    return (
        f"set {' or '.join(of_training)}; for validation, test and image features an "
        f"evaluate.batch_size below {config.evaluate.batch_size}"
    )
