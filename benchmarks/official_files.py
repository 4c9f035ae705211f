"""Official files of COCO (Karpathy), VQAv2 and GQA at their real size, with made-up texts: for `open_datasets.py`."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path

WORDS = """\
nouns: man, woman, dog, cat, table, chair, car, bus, train, plate, bowl, street, tree, fence, horse, boat, clock, bench
adjectives: red, small, wooden, large, white, old, black, shiny, green, round, open, wet, empty, striped, tall, young
places: left of, right of, behind, in front of, near, under, on top of, next to, inside, above
verbs: standing, sitting, walking, lying, waiting, running, eating, looking, playing, sleeping
"""
NOUNS, ADJECTIVES, PLACES, VERBS = (line.partition(": ")[2].split(", ") for line in WORDS.splitlines())
COCO = {"train": 82_783, "restval": 30_504, "val": 5_000, "test": 5_000}
"""Images of Karpathy's file, with 616,767 captions; here every image has five."""
VQA = {"train2014": (443_757, 82_783), "val2014": (214_354, 40_504)}
"""Questions, and images that they are about."""
GQA = {"train_balanced": (943_000, 72_140), "testdev_balanced": (12_578, 398)}
ANSWERS = 3_129


def write_coco(root: Path, share: float) -> None:
    """`dataset_coco.json`."""
    draw = random.Random(0)

    def images() -> Iterator[str]:
        number = 0
        for split, count in COCO.items():
            folder = "train2014" if split == "train" else "val2014"
            for _ in range(int(count * share)):
                number += 1
                yield json.dumps(_captioned(number, split, folder, draw))

    _write_list(root / "dataset_coco.json", '{"images": [', images(), '], "dataset": "made up"}')


def _captioned(number: int, split: str, folder: str, draw: random.Random) -> dict[str, object]:
    sentences = []
    for position in range(5):
        text = f"A {_thing(draw)} is {draw.choice(VERBS)} {draw.choice(PLACES)} a {_thing(draw)} and a {_thing(draw)}."
        tokens = text.lower().rstrip(".").split()
        sentences.append({"tokens": tokens, "raw": text, "imgid": number - 1, "sentid": number * 5 + position})
    return {
        "filepath": folder,
        "sentids": [number * 5 + position for position in range(5)],
        "filename": f"COCO_{folder}_{number:012d}.jpg",
        "imgid": number - 1,
        "split": split,
        "sentences": sentences,
        "cocoid": number,
    }


def write_vqa(root: Path, share: float) -> None:
    """Questions and annotations of train2014 and val2014."""
    for split, (questions, images) in VQA.items():
        draw = random.Random(split)
        ids = [(1 + number * images // questions) * 1000 + number % 1000 for number in range(int(questions * share))]
        head = f'{{"info": {{}}, "license": {{}}, "data_type": "mscoco", "data_subtype": "{split}", '
        asked = (
            f'{{"image_id": {number // 1000}, "question": "{_question(draw)}", "question_id": {number}}}'
            for number in ids
        )
        name = f"v2_OpenEnded_mscoco_{split}_questions.json"
        _write_list(root / name, head + '"task_type": "Open-Ended", "questions": [', asked, "]}")
        annotated = (_annotation(number, draw) for number in ids)
        _write_list(root / f"v2_mscoco_{split}_annotations.json", head + '"annotations": [', annotated, "]}")


def _annotation(question_id: int, draw: random.Random) -> str:
    best = f"answer{int(ANSWERS * draw.random() ** 3)}"
    given = [best if draw.random() < 0.7 else f"answer{draw.randrange(200_000)}" for _ in range(10)]
    answers = ", ".join(
        f'{{"answer": "{answer}", "answer_confidence": "yes", "answer_id": {number}}}'
        for number, answer in enumerate(given, start=1)
    )
    return (
        f'{{"question_type": "what is the", "multiple_choice_answer": "{best}", "answers": [{answers}], '
        f'"image_id": {question_id // 1000}, "answer_type": "other", "question_id": {question_id}}}'
    )


def write_gqa(root: Path, share: float) -> None:
    """The balanced questions of train and testdev."""
    for split, (questions, images) in GQA.items():
        draw = random.Random(split)
        records = (
            f'"{number:08d}": {json.dumps(_reasoned(number, images, draw))}' for number in range(int(questions * share))
        )
        _write_list(root / f"{split}_questions.json", "{", records, "}")


def _reasoned(number: int, images: int, draw: random.Random) -> dict[str, object]:
    thing, other = _thing(draw), _thing(draw)
    objects = {str(position): str(draw.randrange(10**7)) for position in range(2)}
    place = draw.choice(PLACES)
    program = [("select", other), ("relate", f"{thing},to the {place},s ({number})"), ("query", "name")]
    answer = f"answer{int(1_842 * draw.random() ** 2)}"
    return {
        "semantic": [
            {"operation": operation, "dependencies": [position - 1] if position else [], "argument": argument}
            for position, (operation, argument) in enumerate(program)
        ],
        "entailed": [f"{draw.randrange(10**8):08d}" for _ in range(3)],
        "equivalent": [f"{number:08d}"],
        "question": f"What is the {thing} to the {place} the {other} called?",
        "imageId": str(2_000_000 + draw.randrange(images)),
        "isBalanced": True,
        "groups": {"global": thing, "local": f"10q-{thing}_{other}"},
        "answer": answer,
        "semanticStr": "->".join(f"{operation}: {argument} [{number}]" for operation, argument in program),
        "annotations": {"answer": {"0": objects["0"]}, "question": objects, "fullAnswer": objects},
        "types": {"detailed": "relS", "semantic": "rel", "structural": draw.choice(("query", "verify", "choose"))},
        "fullAnswer": f"The {thing} to the {place} the {other} is called {answer}, as everybody can see in this image.",
    }


def _thing(draw: random.Random) -> str:
    return f"{draw.choice(ADJECTIVES)} {draw.choice(ADJECTIVES)} {draw.choice(NOUNS)}"


def _question(draw: random.Random) -> str:
    return f"What is the {_thing(draw)} {draw.choice(PLACES)} the {_thing(draw)} doing?"


def _write_list(path: Path, head: str, records: Iterator[str], tail: str) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write(head)
        for number, record in enumerate(records):
            file.write(f", {record}" if number else record)
        file.write(tail)


WRITERS: dict[str, Callable[[Path, float], None]] = {"coco": write_coco, "vqav2": write_vqa, "gqa": write_gqa}
