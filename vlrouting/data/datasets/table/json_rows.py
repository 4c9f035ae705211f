"""Rows of a JSON Lines file: one object per line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from vlrouting.data.datasets.json_text import InvalidJSON, JSONText, shown
from vlrouting.data.datasets.table.encoding import not_text, text_lines
from vlrouting.data.datasets.table.mistakes import Complain, Mistakes
from vlrouting.data.datasets.table.rows import Record, Rows


class JSONRows(Rows):
    """A file of JSON objects."""

    unit, typed, fixed = "line", True, False

    def __init__(self, path: Path) -> None:
        self.path = path

    def columns(self, complain: Complain) -> Sequence[str] | None:
        """See `Rows`: the keys of the first record."""
        problem = not_text(self.path)
        if problem is not None:
            complain(None, *problem)
            return None
        lines = text_lines(self.path, Mistakes().of(self.path))
        start = "".join(islice(lines, 20)).lstrip()
        if start.startswith("["):
            program = "import json, sys; [print(json.dumps(row)) for row in json.load(sys.stdin)]"
            remedy = f"write an object per line: python -c '{program}' < {self.path.name} > rows.jsonl"
            complain(None, "is one JSON list, not JSON Lines", remedy)
            return None
        first = next(self.records(Mistakes().of(self.path)), None)
        if first is None:
            for _ in self.records(complain):  # says what is wrong with each line
                pass
            return None
        return list(first[1])

    def records(self, complain: Complain) -> Iterator[tuple[int, Record]]:
        """See `Rows`."""
        json = JSONText()
        for number, line in enumerate(text_lines(self.path, complain), start=1):
            if not line.strip():
                continue
            try:
                record = json.whole(line)
            except InvalidJSON as error:
                value = f"column {error.position + 1}: {error.reason}"
                complain(number, "is not JSON", "write one JSON object on one line", value)
                continue
            if isinstance(record, dict):
                yield number, record
            else:
                complain(number, "is no JSON object", 'write an object such as {"image": "a.jpg", …}', shown(record))
