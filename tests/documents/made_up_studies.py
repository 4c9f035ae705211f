"""Studies that nobody ran, with everything that a report can show: pictures, curves, tuning runs, an analysis."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.summary.writer.record_writer import RecordWriter

from tests.made_up_runs import DATASETS, make_run, make_several, make_variant, tuned_rate
from vlrouting.config.routings import ROUTINGS
from vlrouting.data.example import Example
from vlrouting.data.inspection.data_file import DataRecord, write_data_record
from vlrouting.data.inspection.description import describe, shown_examples
from vlrouting.experiment import RunDirectory, write_json_atomic

HOSTILE = "<script>alert(1)</script> \"' & </script><img src=x onerror=alert(2)> ${7*7} {{7*7}} \u2028"
"""What a model or a data set might say."""
COLORS = {"red": "#c62828", "green": "#2e7d32", "blue": "#1565c0", "yellow": "#f9a825"}
RATES = (3e-4, 1e-3, 3e-3)


def draw_pictures(folder: Path, count: int) -> list[tuple[Path, str, str]]:
    """Pictures of a shape: path, colour, shape."""
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for number in range(count):
        color, shape = list(COLORS)[number % 4], ("circle", "square", "triangle")[number % 3]
        image = Image.new("RGB", (160, 120), "#eceff1")
        draw, (x, y) = ImageDraw.Draw(image), (20 + number * 7 % 70, 15 + number * 5 % 45)
        if shape == "circle":
            draw.ellipse((x, y, x + 50, y + 50), COLORS[color])
        elif shape == "square":
            draw.rectangle((x, y, x + 50, y + 50), COLORS[color])
        else:
            draw.polygon(((x + 25, y), (x, y + 50), (x + 50, y + 50)), COLORS[color])
        path = folder / f"{number}.png"
        image.save(path)
        found.append((path, color, shape))
    return found


def write_vqa_study(runs: Path, variants: Sequence[str] = ("none", "add", "mul"), *, seeds: int = 3) -> Path:
    """Questions about shapes. Variants differ in `bottleneck.routing`; each is tuned, analysed and has curves."""
    folder, pictures = runs / "vqa_study", draw_pictures(runs / "pictures", 30)
    random = np.random.default_rng(0)
    questions = []
    for number, (path, color, shape) in enumerate(pictures):
        questions.append((f"what color is the {shape}?", color, "other", path))
        questions.append((f"is there a {shape}?" if number else HOSTILE, "yes", "yes/no", path))
    for place, name in enumerate(variants):
        right = random.random((seeds, len(questions))) < 0.6 + 0.1 * (place % 4)
        for seed in range(seeds):
            examples = [
                {
                    "question": text,
                    "prediction": answer if is_right else "purple",
                    "references": [answer] * 9 + ["maybe"],
                    "image": str(path),
                    "cluster": path.name,
                    "answer_type": kind,
                }
                for (text, answer, kind, path), is_right in zip(questions, right[seed], strict=True)
            ]
            run = _run(folder, name, seed, 100.0 * right[seed], examples, place)
            write_data(run, "vqav2", [(text, (answer,) * 9 + ("maybe",), path) for text, answer, _, path in questions])
            write_curves(run, seed, place)
            write_json_atomic(run.path / "analysis.json", _analysis(place))
        _write_trials(folder, name, place)
    make_run(folder, "broken,seed=0", settings={"train.max_steps": 7}, status="failed", error=HOSTILE)
    return folder


def write_caption_study(runs: Path) -> Path:
    """Captions of shapes, one of them hostile; no right and wrong."""
    folder, pictures = runs / "caption_study", draw_pictures(runs / "pictures", 20)
    for place, name in enumerate(("none", "mul")):
        examples: list[dict[str, Any]] = [
            {
                "question": "",
                "prediction": f"a {color} {shape}" if number % 3 or place else "a shape on a plain background",
                "references": [f"a {color} {shape}", f"there is a {shape} and it is {color}"],
                "image": str(path),
                "cluster": path.name,
                "answer_type": "",
            }
            for number, (path, color, shape) in enumerate(pictures)
        ]
        examples[0] |= {"prediction": HOSTILE, "references": [HOSTILE]}
        scores = np.linspace(20, 120, len(pictures)) + 5 * place
        make_variant(folder, f"routing={name}", scores[None], examples=examples, settings={"task": "captioning"})
        captions = [("", tuple(example["references"]), Path(example["image"])) for example in examples]
        write_data(RunDirectory(folder / f"routing={name},seed=0"), "coco", captions)
    return folder


def write_pairs_study(runs: Path) -> Path:
    """Statements about two images each."""
    folder, pictures = runs / "pairs_study", draw_pictures(runs / "pictures", 20)
    paths = [str(path) for path, _, _ in pictures]
    examples = [
        {"question": "Both have a circle.", "images": [left, right], "image": None, "answer_type": ""}
        for left, right in itertools.pairwise(paths)
    ]
    for name in ("none", "mul"):
        scores = 100.0 * (np.arange(len(examples)) % 2 == (name == "mul"))
        make_variant(folder, f"routing={name}", scores[None], examples=examples)
    return folder


def write_multitask_study(runs: Path, variants: Sequence[str] = ("none", "add", "mul"), *, seeds: int = 3) -> Path:
    """Four datasets in one run: questions, statements about two images, captions; two share their images."""
    folder, pictures = runs / "multitask_study", draw_pictures(runs / "pictures", 40)
    texts = {name: _of_dataset(name, pictures) for name in DATASETS}
    sizes = {name: len(examples) for name, examples in texts.items()}
    random = np.random.default_rng(0)
    for place, routing in enumerate(variants):
        for seed in range(seeds):
            right = {name: random.random(size) < 0.55 + 0.1 * place for name, size in sizes.items()}
            examples = {
                name: [_predicted(example, bool(is_right)) for example, is_right in zip(of, right[name], strict=True)]
                for name, of in texts.items()
            }
            scores = {name: (100.0 if name != "captions" else 70.0) * of for name, of in right.items()}
            settings, tuned = tuned_rate()
            point, settings = f"routing={routing},seed={seed}", {**settings, "bottleneck.routing": routing}
            run = make_several(folder, point, scores, seed=seed, settings=settings, tuned=tuned, examples=examples)
            for name, of in texts.items():
                shown = [(e["question"], tuple(e["references"]), Path((e["images"] or [e["image"]])[0])) for e in of]
                write_data(run, name, shown, run.data_of(name))
            _several_curves(run, seed, place)
            write_json_atomic(run.analysis, {"datasets": {name: _analysis(place) for name in ("vqa", "captions")}})
    return folder


def _of_dataset(name: str, pictures: Sequence[tuple[Path, str, str]]) -> list[dict[str, Any]]:
    """Questions, statements or captions with what is right."""
    found = []
    for number, (path, color, shape) in enumerate(pictures[20:] if name in ("gqa", "nlvr2") else pictures):
        other = pictures[number - 1][0]
        both = {"images": [str(path), str(other)], "image": None}
        one = {"images": None, "image": str(path)}
        example = {
            "vqa": {"question": f"what color is the {shape}?", "references": [color] * 10, **one},
            "gqa": {"question": f"Is the {shape} {color}?", "references": ["yes"], **one},
            "nlvr2": {"question": f"One of the two pictures has a {shape}.", "references": ["true"], **both},
            "captions": {"question": "", "references": [f"a {color} {shape}", f"one {shape}"], **one},
        }[name]
        found.append({**example, "cluster": path.name, "answer_type": ""})
    return found


def _predicted(example: dict[str, Any], is_right: bool) -> dict[str, Any]:
    return {**example, "prediction": example["references"][0] if is_right else "a purple star"}


def _several_curves(run: RunDirectory, seed: int, place: int) -> None:
    random = np.random.default_rng((seed, place))
    loss = {step: 2 * np.exp(-step / (25 + 5 * place)) + 0.1 * random.random() for step in range(1, 101)}
    tags = ["mean", *(f"{name}/{metric}" for name, (metric, _) in DATASETS.items())]
    scores = {f"validation/{tag}": {s: 90 - 40 / s - random.random() for s in (25, 50, 75, 100)} for tag in tags}
    write_events(run, {"train/loss": loss, **scores})


def _run(
    folder: Path, name: str, seed: int, scores: Any, examples: Sequence[dict[str, Any]], place: int
) -> RunDirectory:
    rate = RATES[place % 3]
    tuned = {
        "keys": ["train.lr"],
        "trials": [f"routing={name},lr={value:g}" for value in RATES],
        "trial": f"routing={name},lr={rate:g}",
        "metric": "validation/vqa_accuracy",
        "score": 90.0,
        "edges": ["train.lr"] if place % 3 != 1 else [],
    }
    routed = {"bottleneck.routing": name} if name in ROUTINGS else {}
    settings = {"train.lr": rate, "train.max_steps": 100 + place * (not routed), **routed}
    options: dict[str, Any] = {"trained_parameters": 2_500 + 400 * place, "wall_seconds": 75.4 + 20 * place}
    clusters = [example["cluster"] for example in examples]
    point = f"routing={name},seed={seed}" if routed else f"{name},seed={seed}"
    options |= {"settings": settings, "tuned": tuned, "examples": examples, "clusters": clusters}
    return make_run(folder, point, scores, seed=seed, **options)


def _write_trials(folder: Path, name: str, place: int) -> None:
    for index, rate in enumerate(RATES):
        diverged = index == 2 and place % 3 != 2
        trial = make_run(
            folder / "tuning",
            f"routing={name},lr={rate:g}",
            settings={"train.lr": rate},
            status="failed" if diverged else "complete",
            error="the loss is not finite at step 17" if diverged else None,
        )
        if not diverged:
            write_json_atomic(trial.metrics, {"validation/vqa_accuracy": 90.0 - abs(index - place % 3) * 4})


def write_data(
    run: RunDirectory, dataset: str, texts: Sequence[tuple[str, tuple[str, ...], Path]], file: Path | None = None
) -> None:
    """data.json: question, references and image of each training example; the test split is the first half."""
    examples = [
        Example(number, (path,), question, {references[0]: 1.0} if question else {}, references, answer=references[0])
        for number, (question, references, path) in enumerate(texts)
    ]
    half = examples[: len(examples) // 2]
    splits = (describe("train", examples, ["train"]), describe("test", half, ["test"]))
    write_data_record(file or run.data, DataRecord(dataset, splits, tuple(shown_examples(examples, 12))))


def write_curves(run: RunDirectory, seed: int, place: int) -> None:
    """The loss of 100 steps and four validations."""
    random = np.random.default_rng((seed, place))
    loss = {step: 2 * np.exp(-step / (25 + 5 * place)) + 0.1 * random.random() for step in range(1, 101)}
    validation = {step: 90 - 40 / step - random.random() for step in (25, 50, 75, 100)}
    write_events(run, {"train/loss": loss, "validation/vqa_accuracy": validation})


def write_events(run: RunDirectory, values: Mapping[str, Mapping[int, float]], *, number: int = 1) -> Path:
    """TensorBoard's event file number so and so of a run: tag -> step -> value."""
    run.tensorboard.mkdir(parents=True, exist_ok=True)
    file = run.tensorboard / f"events.out.tfevents.{number}.made_up.1.0"
    with file.open("wb") as opened:
        writer = RecordWriter(opened)
        writer.write(Event(wall_time=1, file_version="brain.Event:2").SerializeToString())
        for tag, steps in values.items():
            for step, value in steps.items():
                event = Event(wall_time=step, step=step)
                event.summary.value.add(tag=tag, simple_value=value)
                writer.write(event.SerializeToString())
    return file


def _analysis(place: int) -> dict[str, Any]:
    layers = [
        {
            "name": f"encoder.layer.{layer}.attention.self.query",
            "bottleneck": "bottleneck",
            "not_measured": None,
            "image_dependence": 0.15 * place,
            "relative_size": 0.2 * place + 0.01 * layer,
            "effective_rank_before": 12.0 - layer,
            "effective_rank_after": 11.0 - layer,
            "cka": 0.1 * place if layer else None,
        }
        for layer in range(4)
    ]
    changed = {"swapped": 0.1 * place, "removed": 0.12 * place}
    intervals = {how: [share / 2, share * 2] for how, share in changed.items()}
    return {"examples": 60, "layers": layers, "answers_changed": changed, "answers_changed_interval": intervals}


def predictions(run: RunDirectory) -> list[dict[str, Any]]:
    """The lines of its predictions.jsonl."""
    return [json.loads(line) for line in run.predictions.read_text(encoding="utf-8").splitlines()]
