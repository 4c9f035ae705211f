"""Whole experiments in miniature: coloured pictures in official formats, tiny language models and a tiny ViT."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import yaml
from PIL import Image

from tests.data.datasets.official_files import answer_records, header, write_json
from tests.tiny_backbones import save_tiny_gpt2, save_tiny_roberta

COLORS = {"red": (200, 0, 0), "green": (0, 200, 0), "blue": (0, 0, 200), "yellow": (200, 200, 0)}
FIRST_IMAGE = {"train2014": 1, "val2014": 1001, "held2014": 2001}


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


def write_captions(root: Path, images: int) -> None:
    """Karpathy's file over pictures of one colour: two captions each, in the splits train, val and test."""
    draw = random.Random("captions")
    records = []
    for image_id in range(1, 3 * images + 1):
        color = draw.choice(list(COLORS))
        split = ("train", "val", "test")[(image_id - 1) // images]
        path = root / "pictures" / f"{image_id}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), COLORS[color]).save(path)
        sentences = [
            {"tokens": raw.split(), "raw": raw, "imgid": image_id - 1, "sentid": 10 * image_id + number}
            for number, raw in enumerate([f"a {color} picture", f"this is all {color}"])
        ]
        place = {"filepath": "pictures", "filename": path.name, "cocoid": image_id, "imgid": image_id - 1}
        records.append({**place, "split": split, "sentids": [s["sentid"] for s in sentences], "sentences": sentences})
    (root / "dataset_coco.json").write_text(json.dumps({"images": records, "dataset": "tiny"}))


SECTIONS: dict[str, Any] = {
    "seed": 3,
    "vision": {"name": "vit_tiny_patch16_224", "weights": "random", "image_size": 32},
    "bottleneck": {"kind": "lora", "rank": 4, "routing": "mul", "dropout": 0.1},
    "train": {
        "max_steps": 10, "batch_size": 8, "lr": 0.01, "accelerator": "cpu", "checkpoint_every_steps": 3,
        "validate_every_steps": 4, "log_every_steps": 1,
    },
    "evaluate": {"batch_size": 16, "panel": 4},
}  # fmt: skip


def write_experiment(folder: Path, images: int = 24, **sections: object) -> Path:
    """`folder/tiny.yaml` with all that it needs; `sections` are merged into the YAML. Returns the file."""
    for subtype in ("train2014", "val2014"):
        write_colors(folder / "data", subtype, images)
    save_tiny_roberta(folder / "roberta")
    data = {"root": str(folder / "data"), "min_answer_count": 2, "validation": "val2014"}
    return _write(folder, {**SECTIONS, "data": data, "language": {"name": str(folder / "roberta")}}, sections)


def write_tuned_experiment(folder: Path, **sections: Any) -> Path:
    """The same with a validation split of its own: `mul` and `none`, each with a learning rate that is chosen among a
    tiny one and a good one, and two seeds."""
    write_colors(folder / "data", "held2014", 12)
    names = {"questions": "v2_OpenEnded_mscoco_held2014_questions.json"}
    names["annotations"] = "v2_mscoco_held2014_annotations.json"
    sweep = {
        "grid": {"bottleneck.routing": ["none", "mul"]},
        "tune": {"grid": {"train.lr": [1e-6, 0.01]}, "max_steps": 6},
        "seeds": [0, 1],
    }
    data = {"validation": "held2014", "splits": {"held2014": names}, **sections.pop("data", {})}
    quick = {"train": {"logger": []}, "evaluate": {"panel": 0}}
    return write_experiment(folder, images=16, data=data, **{"sweep": sweep, **quick, **sections})


def write_caption_experiment(folder: Path, images: int = 16, **sections: object) -> Path:
    """The same with captions and a tiny GPT-2."""
    write_captions(folder / "data", images)
    save_tiny_gpt2(folder / "gpt2")
    captioning = {
        "task": "captioning",
        "data": {"name": "coco", "root": str(folder / "data"), "train": "train", "validation": None, "test": "test"},
        "language": {"name": str(folder / "gpt2")},
        "generate": {"beams": 2, "max_new_tokens": 6},
    }
    return _write(folder, {**SECTIONS, **captioning}, sections)


def write_written_answers(folder: Path, **sections: object) -> Path:
    """The questions of `write_experiment`, whose answers a tiny GPT-2 writes."""
    write_experiment(folder)
    save_tiny_gpt2(folder / "gpt2")
    writing = {
        "task": "vqa_generation",
        "data": {"root": str(folder / "data"), "validation": None, "prompt": "Question: {text} Answer:"},
        "language": {"name": str(folder / "gpt2")},
        "generate": {"max_new_tokens": 8},
    }
    return _write(folder, {**SECTIONS, **writing}, sections)


def write_several_datasets(folder: Path, images: int = 24, **sections: object) -> Path:
    """Two datasets in one run of a tiny GPT-2: the questions, with drawn answers, and the captions, in smaller batches.

    The captions have the more batches, so an epoch goes over the questions more than once.
    """
    for subtype in ("train2014", "val2014"):
        write_colors(folder / "colors", subtype, images)
    write_captions(folder / "captions", images)
    save_tiny_gpt2(folder / "gpt2")
    asked = {"root": str(folder / "colors"), "validation": "val2014", "prompt": "Q: {text} A:", "sample_answers": True}
    described = {
        "name": "coco",
        "root": str(folder / "captions"),
        "train": "train",
        "validation": "val",
        "test": "test",
    }
    own = {"task": "captioning", "batch_size": 4, "generate": {"beams": 2, "max_new_tokens": 6}}
    several = {
        "task": "vqa_generation",
        "datasets": {"vqa": asked, "captions": {**described, **own}},
        "language": {"name": str(folder / "gpt2")},
        "generate": {"max_new_tokens": 4},
    }
    return _write(folder, {**SECTIONS, **several}, sections)


def _write(folder: Path, experiment: dict[str, Any], sections: dict[str, object]) -> Path:
    for name, section in sections.items():
        merged = experiment.get(name)
        experiment[name] = {**merged, **section} if isinstance(merged, dict) and isinstance(section, dict) else section
    experiment = {name: section for name, section in experiment.items() if section is not None}
    file = folder / "tiny.yaml"
    file.write_text(yaml.safe_dump(experiment, sort_keys=False))  # datasets take turns in their order
    return file
