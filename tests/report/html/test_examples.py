"""Which test examples a report shows, and what it says of them."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.documents.made_up_studies import draw_pictures, write_caption_study, write_pairs_study
from tests.made_up_runs import make_variant
from vlrouting.report.comparison import compare_runs
from vlrouting.report.html.examples import Browser, browser
from vlrouting.report.html.thumbnails import EDGE, Thumbnails

MOST = 10_000_000


def make(folder: Path, name: str, right: object, pictures: Path | None = None) -> None:
    """A variant; the image of an example is missing without a folder of pictures."""
    scores = 100 * np.atleast_2d(np.asarray(right, dtype=float))
    paths = [str((pictures or folder) / f"{number}.png") for number in range(scores.shape[1])]
    make_variant(folder, name, scores, examples=[{"image": path} for path in paths], clusters=paths)


def browse(folder: Path, count: int, most: int = MOST) -> Browser:
    return browser(compare_runs([folder]).variants, count, most)


def ids(found: Browser) -> list[int]:
    return [int(example["id"]) for example in found.data["examples"]]


def test_disagreements_come_first_then_evenly_spaced_ones(tmp_path: Path) -> None:
    right = np.ones(100)
    make(tmp_path, "routing=none", right)
    right[[3, 50, 51]] = 0
    make(tmp_path, "routing=mul", right)
    found = browse(tmp_path, 13)
    assert {3, 50, 51} <= set(ids(found)) and ids(found) == sorted(ids(found)) and len(ids(found)) == 13
    others = [number for number in range(100) if number not in (3, 50, 51)]
    assert set(ids(found)) - {3, 50, 51} == {others[place * 97 // 10] for place in range(10)}
    assert found.shown.startswith("13 of 100 test examples: 3 of 3 ")
    assert ids(browse(tmp_path, 2)) == [3, 50]
    assert browse(tmp_path, 100).shown.startswith("All 100 test examples; the variants disagree on 3.")
    assert ids(browse(tmp_path, 0)) == []


def test_outputs_side_by_side_with_the_seeds_that_are_right(tmp_path: Path) -> None:
    make(tmp_path, "routing=none", [[1, 0], [1, 1], [1, 0]])
    make(tmp_path, "routing=mul", [[0, 1], [0, 1], [1, 1]])
    found = browse(tmp_path, 10)
    assert [variant["label"] for variant in found.data["variants"]] == ["routing=mul", "routing=none"]
    mul, none = found.data["examples"][1]["outputs"]
    assert (mul["right"], mul["rightSeeds"], mul["score"]) == (True, 3, 100.0)
    assert (none["text"], none["right"], none["rightSeeds"]) == ("green", False, 1)
    assert found.data["variants"][0]["seeds"] == 3 and found.knows_right
    assert found.kinds == {} or "answer_type" in found.kinds


def test_the_shown_seed_is_one_that_all_variants_have(tmp_path: Path) -> None:
    for name, seeds in {"routing=none": [0, 1], "routing=mul": [1, 2]}.items():
        make_variant(tmp_path, name, np.zeros((2, 3)), seeds=seeds)
    assert [variant["seed"] for variant in browse(tmp_path, 3).data["variants"]] == [1, 1]


def test_missing_images_have_a_name_and_one_note(tmp_path: Path) -> None:
    draw_pictures(tmp_path / "pictures", 2)
    make(tmp_path / "x", "routing=none", [1, 0, 1], tmp_path / "pictures")
    (tmp_path / "pictures" / "2.png").write_bytes(b"no image")
    found = browse(tmp_path / "x", 10)
    images = found.data["images"]
    assert {image["name"]: image["uri"] is None for image in images} == {"0.png": False, "1.png": False, "2.png": True}
    assert found.notes == ("1 of 3 images cannot be opened on this machine.",)


def test_missing_and_damaged_predictions_are_noted(tmp_path: Path) -> None:
    make(tmp_path, "routing=none", [[1, 0], [0, 1]])
    make(tmp_path, "routing=mul", [1, 1])
    (tmp_path / "routing=none,seed=1" / "predictions.jsonl").unlink()
    with (tmp_path / "routing=mul,seed=0" / "predictions.jsonl").open("a") as file:
        file.write('{"id": 7')
    found = browse(tmp_path, 10)
    assert len(found.notes) == 3  # one of them about the images
    assert any("routing=none,seed=1/predictions.jsonl cannot be read" in note for note in found.notes)
    assert any("routing=mul,seed=0/predictions.jsonl: line 3 is damaged" in note for note in found.notes)
    assert found.data["variants"][1]["seeds"] == 1


def test_captions_are_neither_right_nor_wrong(tmp_path: Path) -> None:
    found = browse(write_caption_study(tmp_path), 100)
    assert not found.knows_right and found.has_scores
    assert {output["right"] for example in found.data["examples"] for output in example["outputs"]} == {None}
    assert found.shown == "All 20 test examples; the variants disagree on 6."
    assert found.data["examples"][1]["references"] == [["a green square", 1], ["there is a square and it is green", 1]]


def test_pairs_of_images_share_thumbnails(tmp_path: Path) -> None:
    found = browse(write_pairs_study(tmp_path), 100)
    assert [len(example["images"]) for example in found.data["examples"]] == [2] * 19
    assert len(found.data["images"]) == 20


def test_images_stay_below_the_limit(tmp_path: Path) -> None:
    draw_pictures(tmp_path / "pictures", 30)
    make(tmp_path / "x", "routing=none", [1] * 30, tmp_path / "pictures")
    whole = sum(len(image["uri"]) for image in browse(tmp_path / "x", 30).data["images"])
    found = browse(tmp_path / "x", 30, whole // 2)
    assert sum(len(image["uri"]) for image in found.data["images"]) <= whole // 2
    assert 10 < len(ids(found)) < 20 and ids(found)[-1] > 20  # not the first ones of the test set
    assert found.shown.startswith(f"{len(ids(found))} of 30 ")


def test_long_texts_are_cut_and_many_examples_stay_below_the_limit(tmp_path: Path) -> None:
    examples = [{"prediction": "never " * 10_000, "image": "none.png"}] * 50
    make_variant(tmp_path, "routing=none", [[100.0, 0.0] * 25], examples=examples)
    found = browse(tmp_path, 50, 40_000)
    assert len(json.dumps(found.data)) < 50_000 and 20 < len(ids(found)) < 40
    text = found.data["examples"][0]["outputs"][0]["text"]
    assert text.startswith("never never") and text.endswith("…") and len(text) < 1_100
    assert found.shown == f"{len(ids(found))} of 50 test examples, evenly spaced over the test set."


@pytest.mark.parametrize("kind", ["noise", "flat"])
def test_the_smallest_format_is_taken(tmp_path: Path, kind: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (500, 800, 3), dtype=np.uint8)
    Image.fromarray(pixels if kind == "noise" else pixels * 0).save(tmp_path / "a.png")
    thumbnails = Thumbnails(MOST)
    assert thumbnails.add([str(tmp_path / "a.png")] * 2) == [0, 0]
    (uri,) = thumbnails.uris
    assert uri is not None and len(uri) == thumbnails.size
    header, content = uri.split(",")
    with Image.open(io.BytesIO(base64.b64decode(content))) as image:
        assert max(image.size) == EDGE and header == f"data:image/{(image.format or '').lower()};base64"
        sizes = {}
        for format in ("jpeg", "png"):
            image.convert("RGB").save(out := io.BytesIO(), format)
            sizes[format] = len(out.getvalue())
    assert len(base64.b64decode(content)) <= min(sizes.values())
