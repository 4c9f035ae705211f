"""How many captions of a run over the shapes world are entirely right: true of the picture, and naming every thing.

    python benchmarks/caption_truth.py runs/demo_caption/*/predictions.jsonl

The world's own evaluator reads the words and looks into scenes.json, beside the pictures' folder. Shares are in
percent, over all test pictures, by the number of things, and over the pictures with and without a colour on a shape
that training never shows.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import Any

from vlrouting.shapes.evaluator import caption_is_true
from vlrouting.shapes.scene import Scene, Thing


@cache
def scenes(root: Path) -> dict[str, Any]:
    """Picture below the root -> what it shows."""
    content: dict[str, Any] = json.loads((root / "scenes.json").read_text())
    return content


def scene_of(image: Path) -> Scene:
    """What a picture of the world shows; it lies in images/<split>/."""
    root = image.parents[2]
    record = scenes(root)[str(image.relative_to(root))]
    return Scene(tuple(Thing(**thing) for thing in record["things"]), record["background"])


def right_shares(predictions: Path) -> dict[str, float]:
    """Percent of captions that are entirely right, by group of pictures."""
    right: dict[str, list[bool]] = defaultdict(list)
    for line in predictions.read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        scene = scene_of(Path(record["image"]))
        held_out = any(thing.held_out for thing in scene.things)
        for group in ("all", f"{len(scene.things)}", "new" if held_out else "seen"):
            right[group].append(caption_is_true(record["prediction"], scene))
    return {group: 100 * sum(found) / len(found) for group, found in right.items()}


def main() -> None:
    """Print a Markdown table, a line per run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("predictions", nargs="+", type=Path)
    groups = {"all": "all", "1": "1 thing", "2": "2", "3": "3", "4": "4", "seen": "seen pairs", "new": "new pairs"}
    print(f"| variant | {' | '.join(groups.values())} |\n|---|{'--:|' * len(groups)}")
    for path in parser.parse_args().predictions:
        shares = right_shares(path)
        print(f"| {path.parent.name} | {' | '.join(f'{shares[group]:.1f}' for group in groups)} |")


if __name__ == "__main__":
    main()
