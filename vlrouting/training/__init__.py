"""One point of an experiment in one process group: Trainer, checkpoints, resuming, evaluation."""
