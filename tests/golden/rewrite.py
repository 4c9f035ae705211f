"""Write the stored values anew: `python -m tests.golden.rewrite`. `git diff tests/fixtures/golden` shows what moved."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from tests.golden.experiments import LORA, trace, write_experiments

FOLDER = Path(__file__).parents[1] / "fixtures" / "golden"


def stored(name: str) -> dict[str, Any]:
    """The content of one of the files."""
    content: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return content


def write(name: str, content: dict[str, Any]) -> None:
    """Write one of the files, a line for each entry of its entries."""
    entries = []
    for key, fields in content.items():
        lines = [f"  {json.dumps(field)}: {json.dumps(value)}" for field, value in fields.items()]
        entries.append(f"{json.dumps(key)}: {{\n" + ",\n".join(lines) + "\n}")
    (FOLDER / f"{name}.json").write_text("{\n" + ",\n".join(entries) + "\n}\n", encoding="utf-8")


def main() -> None:
    """Entry point."""
    from tests.training.every_option import OPTIONS, option_trace

    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        files = write_experiments(Path(folder))
        runs = Path(folder) / "runs"
        write("tasks", {task: trace(file, runs, *LORA).stored() for task, file in files.items()})
        options = {}
        for number, option in enumerate(option for option in OPTIONS if option.stored):
            options[option.name] = option_trace(files, runs / str(number), option).summary()
        write("options", options)


if __name__ == "__main__":
    main()
