"""What to change in an experiment whose memory does not suffice. Imports no torch."""

from __future__ import annotations

from vlrouting.config import ExperimentConfig


def memory_remedy(config: ExperimentConfig) -> str:
    """The settings that would save memory in this experiment, the one that changes least first."""
    train = config.train
    of_training = []
    if train.batch_size % (2 * train.micro_batches) == 0:
        of_training.append(f"train.accumulate={2 * train.accumulate} (half the micro-batch, the same result)")
    if not train.gradient_checkpointing:
        of_training.append("train.gradient_checkpointing=true")
    if train.precision == "32-true":
        of_training.append("train.precision=bf16-mixed")
    if config.language.dtype == "float32":
        of_training.append("language.dtype=bfloat16")
    of_training.append(f"a train.batch_size below {train.batch_size}")
    return (
        f"set {' or '.join(of_training)}; for validation, test and image features an "
        f"evaluate.batch_size below {config.evaluate.batch_size}"
    )
