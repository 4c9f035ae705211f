"""What a run says of its data before it trains: `data.json`, and a sheet of the training split in TensorBoard."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from vlrouting.config import ExperimentConfig
from vlrouting.data.datasets.registry import chosen_splits
from vlrouting.data.example import Example
from vlrouting.data.inspection.data_file import DataRecord, write_data_record
from vlrouting.data.inspection.description import describe, shown_examples
from vlrouting.data.loading.token_counter import token_counter
from vlrouting.experiment import RunDirectory
from vlrouting.training.event_files import EventLogger

EXAMPLES = 12
"""Of the training split in data.json."""
MOST_SHOWN = 8
"""Of them on the sheet, so that it takes a fraction of a second."""
TAG, STEP = "data/train", 1
"""Of the sheet in TensorBoard. What has no step is not kept when a run resumes."""
_ROLES = ("train", "validation", "test")
log = logging.getLogger(__name__)


def data_record(config: ExperimentConfig, examples: Mapping[str, Sequence[Example]], tokenizer: Any) -> DataRecord:
    """Describe the splits of a point, of the training split also its lengths in tokens.

    Args:
        config: the point.
        examples: by split.
        tokenizer: of its language model.
    """
    splits = []
    for name in chosen_splits(config.data):
        roles = [role for role in _ROLES if getattr(config.data, role) == name]
        tokens = token_counter(config, tokenizer) if name == config.data.train else None
        splits.append(describe(name, examples[name], roles, tokens))
    shown = shown_examples(examples[config.data.train], EXAMPLES, seed=0)
    return DataRecord(config.data.name, tuple(splits), tuple(shown))


def record_data(
    run: RunDirectory,
    config: ExperimentConfig,
    record: DataRecord,
    loggers: Sequence[Any],
    *,
    starts: bool,
    dataset: str = "",
) -> None:
    """Write data.json where there is none yet, and log the sheet when the training starts. Each of several datasets has
    its own.

    Changes no random state. An image that does not open is an empty box: the run itself will say so.

    Args:
        run: its directory.
        config: the point.
        record: its data.
        loggers: of the Trainer.
        starts: nothing is trained yet; a resumed run has its sheet in its event file.
        dataset: the name of one of several.

    Raises:
        OSError: data.json cannot be written.
    """
    file = run.data_of(dataset)
    if starts or not file.exists():
        write_data_record(file, record)
    count = min(MOST_SHOWN, config.evaluate.panel)
    event_loggers = [logger for logger in loggers if isinstance(logger, EventLogger)]
    if not (starts and count and event_loggers):
        return
    try:
        from vlrouting.report.data_sheet import data_sheet, pixels  # matplotlib takes a while to import

        training = record.splits[0]
        name = f"{dataset}, {training.name}" if dataset else training.name
        title = f"{name}: {count} of {training.examples:,} examples"
        sheet = pixels(data_sheet(title, record.examples[:count], record.splits, dpi=100))
    except Exception as error:  # no picture is worth a run
        log.warning("The sheet of the training split was not drawn: %s: %s", type(error).__name__, error)
        return
    for logger in event_loggers:
        logger.log_picture(f"{TAG}/{dataset}".rstrip("/"), sheet, STEP)
