"""Percentage of entirely correct captions of a run over the shapes world: true of the image, mentioning every thing.

    python benchmarks/caption_truth.py runs/demo_caption/*/predictions.jsonl

The evaluator of the shapes world parses the captions and compares them with scenes.json, next to the folder of images.
The table has all test images, images by number of things, and images with and without a combination of colour and shape
that training never shows.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import Any

from tools.shapes_evaluator.evaluator import caption_is_true
from vlrouting.shapes.scene import Scene, Thing


@cache
def scenes(root: Path) -> dict[str, Any]:
    """Image path below the root -> its content."""
    content: dict[str, Any] = json.loads((root / "scenes.json").read_text())
    return content


def scene_of(image: Path) -> Scene:
    """The scene of an image of the world, in images/<split>/."""
    root = image.parents[2]
    record = scenes(root)[str(image.relative_to(root))]
    return Scene(tuple(Thing(**thing) for thing in record["things"]), record["background"])


def accuracies(predictions: Path) -> dict[str, float]:
    """Percentage of entirely correct captions, by group of images."""
    correct: dict[str, list[bool]] = defaultdict(list)
    for line in predictions.read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        scene = scene_of(Path(record["image"]))
        held_out = any(thing.held_out for thing in scene.things)
        for group in ("all", f"{len(scene.things)}", "new" if held_out else "seen"):
            correct[group].append(caption_is_true(record["prediction"], scene))
    return {group: 100 * sum(found) / len(found) for group, found in correct.items()}


def main() -> None:
    """Print a Markdown table with one line per run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("predictions", nargs="+", type=Path)
    groups = {"all": "all", "1": "1 thing", "2": "2", "3": "3", "4": "4", "seen": "seen pairs", "new": "new pairs"}
    print(f"| variant | {' | '.join(groups.values())} |\n|---|{'--:|' * len(groups)}")
    for path in parser.parse_args().predictions:
        found = accuracies(path)
        print(f"| {path.parent.name} | {' | '.join(f'{found[group]:.1f}' for group in groups)} |")


if __name__ == "__main__":
    main()
