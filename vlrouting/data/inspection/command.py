"""What `vlrouting data check` does."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from vlrouting.config.finding import FAULT
from vlrouting.data.inspection.check import inspect
from vlrouting.data.inspection.console import as_json, show
from vlrouting.data.inspection.inspection import Inspection
from vlrouting.data.inspection.subject import subjects_of
from vlrouting.experiment import write_json_atomic


def check(
    name: str,
    overrides: Sequence[str] = (),
    *,
    root: Path | None = None,
    splits: Sequence[str] = (),
    images: str = "all",
    manifest: Path | None = None,
    write: Path | None = None,
    print_json: bool = False,
) -> bool:
    """Check a dataset or the data of an experiment, and print what is found.

    Args:
        name, overrides, root, splits: see `subjects_of`.
        images, manifest: see `inspect`.
        write: a JSON file that gets everything.
        print_json: print the same in place of tables.

    Returns:
        Whether there is a fault.

    Raises:
        UserError: there is no such experiment, or it is not valid.
        DataError: there is nothing of the dataset in the folder, or no such manifest.
        KeyboardInterrupt: once what was found so far is printed and written.
    """
    inspections = [Inspection(subject) for subject in subjects_of(name, overrides, root, splits)]
    try:
        for inspection in inspections:
            inspect(inspection, images, manifest)
    finally:
        content = {"checked": [as_json(inspection) for inspection in inspections]}
        if write is not None:
            write_json_atomic(write, content)
        if print_json:
            print(json.dumps(content, indent=2, ensure_ascii=False))
        else:
            show(inspections)
    return any(inspection.count(FAULT) for inspection in inspections)
