"""The sheet of examples, and `vlrouting data show`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from tests.command_line import vlrouting
from tests.tiny_experiment import write_caption_experiment, write_experiment
from vlrouting.data.example import Example
from vlrouting.data.inspection.description import ShownExample, describe, shown_examples
from vlrouting.report.data_sheet import GAP, MARGIN, MOST_CAPTIONS, SHAPE, WIDTH, data_sheet, pixels
from vlrouting.report.plots.style import styled


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    for name, size, color in (("wide", (90, 30), "red"), ("tall", (20, 80), "blue"), ("square", (50, 50), "lime")):
        Image.new("RGB", size, color).save(tmp_path / f"{name}.png")
    (tmp_path / "broken.png").write_bytes(b"no image")
    return tmp_path


def texts(figure: Figure) -> str:
    return "\n".join(text.get_text() for text in figure.texts)


def extent(drawn: np.ndarray, color: tuple[int, int, int]) -> tuple[int, int, int]:
    """Width, height and left edge of what has a colour."""
    rows, columns = np.nonzero((drawn == color).all(-1))
    return int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1, int(columns.min())


def test_images_keep_their_shape_and_pairs_stand_side_by_side(pictures: Path) -> None:
    pair = (str(pictures / "wide.png"), str(pictures / "tall.png"))
    drawn = pixels(data_sheet("pairs", [ShownExample("a-1", pair, "Both?", (("true", 1),))], []))
    wide, tall = extent(drawn, (255, 0, 0)), extent(drawn, (0, 0, 255))
    assert wide[0] / wide[1] == pytest.approx(3, rel=0.03) and tall[1] / tall[0] == pytest.approx(4, rel=0.03)
    assert wide[2] + wide[0] < tall[2]
    card = (WIDTH - 2 * MARGIN - 2 * GAP) / 3 * 150 / 72
    assert wide[0] <= card / 2 and tall[1] == pytest.approx(SHAPE * card, abs=2)


def test_nothing_leaves_the_sheet_and_no_texts_overlap(pictures: Path) -> None:
    long = "a caption of many words that has to be wrapped over several lines of the sheet " * 3
    captions = tuple((f"{number} {long}", 1) for number in range(8))
    shown = [
        ShownExample(1, (str(pictures / "square.png"),), "", captions),
        ShownExample("i" * 90, (str(pictures / "broken.png"),), "What is this? " * 12, (("yes", 7), ("no", 3))),
        ShownExample(3, (str(pictures / "none.png"),), "这是什么 😀 ما هذا $x$", ()),
        ShownExample(4, (str(pictures / "tall.png"),), "?", (("", 1),)),
    ]
    described = describe("train", [Example(n, (), "what is it", {"yes": 1.0}, answer="yes") for n in range(3)])
    figure = data_sheet("A title " * 30, shown, [described])
    renderer = FigureCanvasAgg(figure).get_renderer()
    with styled():
        boxes = [text.get_window_extent(renderer) for text in figure.texts]
    assert all(box.x0 >= 0 and box.y0 >= 0 and box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1 for box in boxes)
    for place, box in enumerate(boxes):
        for other in boxes[place + 1 :]:
            assert (
                min(box.x1, other.x1) - max(box.x0, other.x0) < 1 or min(box.y1, other.y1) - max(box.y0, other.y0) < 3
            )
    for axes in figure.axes:
        tight = axes.get_tightbbox(renderer)
        assert tight.x0 >= 0 and tight.y0 >= 0 and tight.x1 <= figure.bbox.x1
        assert not any(tight.overlaps(box) for box in boxes)
    said = texts(figure)
    times = "\N{MULTIPLICATION SIGN}"
    for words in (f"yes (7{times}), no (3{times})", "cannot be opened:", "(no answer)", "(empty)"):
        assert words in said
    assert f"and {8 - MOST_CAPTIONS} more" in said


def test_more_examples_make_more_rows(pictures: Path) -> None:
    one = ShownExample(1, (str(pictures / "square.png"),), "What?", (("yes", 1),))
    heights = [data_sheet("title", [one] * count, []).get_figheight() for count in (1, 4, 5, 9)]
    assert heights[0] == heights[1] < heights[2] < heights[3]


def test_a_sheet_of_a_dataset_with_its_numbers(shapes_world: Path, tmp_path: Path) -> None:
    out = tmp_path / "sheets" / "vqa.png"
    shown = vlrouting("data", "show", "vqav2", "--root", shapes_world, "--out", out, "--count", "5")
    assert shown.returncode == 0, shown.stderr
    with Image.open(out) as image:
        first = np.asarray(image)
    for part in ("distinct images", "24", "words, mean", "distinct answers", "yes", str(out)):
        assert part in shown.stdout
    for options, same in ((["--seed", "0"], True), (["--seed", "1"], False), (["--split", "val"], False)):
        assert (
            vlrouting(
                "data", "show", "vqav2", "--root", shapes_world, "--out", out, "--count", "5", *options
            ).returncode
            == 0
        )
        with Image.open(out) as image:
            assert (first.shape == np.asarray(image).shape and (first == np.asarray(image)).all()) == same


def test_an_experiments_tokens_and_their_limit(tmp_path: Path) -> None:
    write_experiment(tmp_path)
    shown = vlrouting("data", "show", "tiny.yaml", "data.max_text_tokens=6", cwd=tmp_path)
    assert shown.returncode == 0 and (tmp_path / "sheet.png").is_file()
    assert "longer than data.max_text_tokens=6" in shown.stdout and "tokens, mean" in shown.stdout
    without = vlrouting("data", "show", "tiny.yaml", "language.name=nobody/nothing", cwd=tmp_path)
    assert without.returncode == 0 and "no lengths in tokens: language.name" in without.stderr
    assert "tokens" not in without.stdout


def test_captions_are_shown_one_by_one(tmp_path: Path) -> None:
    write_caption_experiment(tmp_path)
    shown = vlrouting("data", "show", "tiny.yaml", "--split", "test", "--out", "c.png", cwd=tmp_path)
    assert shown.returncode == 0 and "data.max_target_tokens" in shown.stdout, shown.stderr
    assert "captions" in shown.stdout and "32" in shown.stdout


def test_examples_are_drawn_by_the_seed_alone() -> None:
    examples = [Example(n, (), str(n), {}) for n in range(1000)]
    first, again, other = (shown_examples(examples, 9, seed) for seed in (3, 3, 4))
    assert first == again != other and len(first) == 9
    assert [int(str(example.id)) for example in first] == sorted(int(str(example.id)) for example in first)
    assert len(shown_examples(examples[:4], 9)) == 4
