"""A whole experiment in miniature: coloured pictures in the official VQAv2 formats, a tiny RoBERTa and a tiny ViT."""

from __future__ import annotations

import random
from pathlib import Path

import yaml
from PIL import Image

from tests.data.official_files import answer_records, header, write_json
from tests.tiny_backbones import save_tiny_roberta

COLORS = {"red": (200, 0, 0), "green": (0, 200, 0), "blue": (0, 0, 200), "yellow": (200, 200, 0)}
FIRST_IMAGE = {"train2014": 1, "val2014": 1001}


def write_colors(root: Path, subtype: str, images: int) -> None:
    """Pictures of one colour with two questions each, under the official file names."""
    draw = random.Random(subtype)
    questions, annotations = [], []
    for image_id in range(FIRST_IMAGE[subtype], FIRST_IMAGE[subtype] + images):
        color, asked = draw.choice(list(COLORS)), draw.choice(list(COLORS))
        path = root / subtype / f"COCO_{subtype}_{image_id:012d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), COLORS[color]).save(path)
        for number, (text, kind, answer) in enumerate(
            [("what color is it ?", "other", color), (f"is it {asked} ?", "yes/no", "yes" if asked == color else "no")]
        ):
            ids = {"question_id": image_id * 10 + number, "image_id": image_id}
            questions.append({**ids, "question": text})
            record = {"question_type": text.rsplit(" ", 2)[0], "answer_type": kind, "multiple_choice_answer": answer}
            annotations.append({**ids, **record, "answers": answer_records([answer] * 9 + ["maybe"])})
    write_json(root / f"v2_OpenEnded_mscoco_{subtype}_questions.json", {**header(subtype), "questions": questions})
    write_json(root / f"v2_mscoco_{subtype}_annotations.json", {**header(subtype), "annotations": annotations})


def write_experiment(folder: Path, images: int = 24, **sections: object) -> Path:
    """`folder/tiny.yaml` with all that it needs; `sections` are merged into the YAML. Returns the file."""
    for subtype in ("train2014", "val2014"):
        write_colors(folder / "data", subtype, images)
    save_tiny_roberta(folder / "roberta")
    experiment: dict[str, dict[str, object] | object] = {
        "seed": 3,
        "data": {"root": str(folder / "data"), "min_answer_count": 2, "validation": "val2014"},
        "vision": {"name": "vit_tiny_patch16_224", "weights": "random", "image_size": 32},
        "language": {"name": str(folder / "roberta")},
        "bottleneck": {"kind": "lora", "rank": 4, "routing": "mul", "dropout": 0.1},
        "train": {
            "max_steps": 10, "batch_size": 8, "lr": 0.01, "accelerator": "cpu", "checkpoint_every_steps": 3,
            "validate_every_steps": 4, "log_every_steps": 1,
        },
        "evaluate": {"batch_size": 16, "panel": 4},
    }  # fmt: skip
    for name, section in sections.items():
        merged = experiment.get(name)
        experiment[name] = {**merged, **section} if isinstance(merged, dict) and isinstance(section, dict) else section
    file = folder / "tiny.yaml"
    file.write_text(yaml.safe_dump(experiment))
    return file
