from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from vlrouting.report.panel import CORRECT, WRONG, panel


def record(image: Path, prediction: str, truth: str | None) -> dict[str, object]:
    references = [truth] * 10 if truth else []
    return {"image": str(image), "question": "what color?", "prediction": prediction, "references": references}


def test_correct_and_wrong_answers_have_different_colors(tmp_path: Path) -> None:
    image = tmp_path / "red.png"
    Image.new("RGB", (8, 8), (200, 0, 0)).save(image)
    figure = panel([record(image, "red", "red"), record(image, "blue", "red"), record(image, "x", None)], 16)
    titles = {axis.get_title(): axis.title.get_color() for axis in figure.axes if axis.get_title()}
    assert titles["what color?\nred"] == CORRECT
    assert titles["what color?\nblue (true: red)"] == WRONG
    assert titles["what color?\nx"] == CORRECT  # there is no reference
    FigureCanvasAgg(figure).draw()


def test_every_variant_shows_the_same_images(tmp_path: Path) -> None:
    paths = [tmp_path / f"{n}.png" for n in range(9)]
    for n, path in enumerate(paths):
        Image.new("RGB", (8, 8), (20 * n, 0, 0)).save(path)
    shown = []
    for prediction in ("red", "blue"):
        figure = panel([record(path, prediction, f"truth {path.stem}") for path in paths], 4)
        shown.append([axis.get_title().split("true: ")[1] for axis in figure.axes if axis.get_title()])
    assert shown[0] == shown[1]
    assert len(shown[0]) == 4
