"""What is asked of a trained model: images with a question, or images to describe. Checked without torch."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from vlrouting.data.example import DataError
from vlrouting.experiment import UserError

ImageLike = str | Path | Image.Image


@dataclass(frozen=True)
class Request:
    """One example to predict."""

    images: tuple[Path | Image.Image, ...]
    """A pair is ordered left, right."""
    question: str = ""
    """Empty for a caption."""

    def __str__(self) -> str:
        names = " ".join(map(name_of, self.images))
        return f"{names}: {self.question}" if self.question else names


def name_of(image: Path | Image.Image) -> str:
    """The image in a message or a table."""
    return f"<{image.width} x {image.height} image>" if isinstance(image, Image.Image) else str(image)


def make_request(images: Sequence[ImageLike], question: str | None) -> Request:
    """A checked request.

    Args:
        images: files or PIL images.
        question: None for a caption.

    Raises:
        DataError: a file is missing, or no image.
        UserError: the question is empty or no valid text.
    """
    if question is not None:
        _check_text(question, "the question")
    checked = tuple(_image(image) for image in images)
    return Request(checked, question or "")


def require_images(request: Request, wanted: int | None) -> None:
    """
    Raises:
        UserError: the model was trained on another number of images per example.
    """
    given = len(request.images)
    if wanted is not None and given != wanted:
        remedy = "" if wanted > 1 or given == 0 else "; to ask about each of several images, give the question with -q"
        raise UserError(
            f"the model was trained on {_count(wanted)} per example, and {_count(given)} "
            f"{'was' if given == 1 else 'were'} given{remedy}"
        )


def grouped(images: Sequence[ImageLike], questions: Sequence[str | None], per_example: int) -> list[Request]:
    """Every question about every image; about every pair of neighbours where the model takes pairs.

    Raises:
        DataError: see `make_request`.
        UserError: see `make_request`, or the images do not fill the last pair.
    """
    if not images or len(images) % per_example:
        raise UserError(f"the model takes {_count(per_example)} per example, and {_count(len(images))} were given")
    groups = [images[start : start + per_example] for start in range(0, len(images), per_example)]
    return [make_request(group, question) for group in groups for question in questions]


def read_requests(lines: Iterable[str], asks: bool) -> Iterator[Request]:
    """A request per line; blank lines are skipped.

    A line is a JSON object (`{"image": "a.png", "question": "what?"}`, or `"images"` with a list), or has its parts
    between tabs: the images, then the question. For captions a line may be the image's path alone.

    Args:
        lines: of text.
        asks: whether each has a question.

    Raises:
        UserError: a line is invalid, or an image is missing; the text has the line's number.
    """
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            parse = _from_json if line.lstrip().startswith("{") else _from_tabs
            images, question = parse(line.rstrip("\r\n"), asks)
            yield make_request(images, question)
        except (UserError, DataError) as error:
            raise UserError(f"line {number}: {error}") from None


def _from_json(line: str, asks: bool) -> tuple[list[str], str | None]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise UserError(f"invalid JSON ({error})") from None
    unknown = sorted(record.keys() - {"image", "images", "id", *(["question"] if asks else [])})
    if unknown:
        raise UserError(f"unknown key '{unknown[0]}'; a line has image or images{' and question' if asks else ''}")
    if ("image" in record) == ("images" in record):
        raise UserError("give one of the keys image and images")
    images = record.get("images", [record.get("image")])
    if not isinstance(images, list) or not images or not all(isinstance(image, str) for image in images):
        raise UserError(f"image is no path, or images no list of paths: {images!r:.60}")
    question = record.get("question") if asks else None
    if asks and not isinstance(question, str):
        raise UserError("question is no text" if "question" in record else "has no question")
    return images, question


def _from_tabs(line: str, asks: bool) -> tuple[list[str], str | None]:
    *images, last = line.split("\t")
    if not asks:
        return [*images, last], None
    if not images:
        raise UserError("has no tab between image and question; write IMAGE<tab>QUESTION, or a JSON object")
    return images, last


def _check_text(text: str, what: str) -> None:
    if not isinstance(text, str):
        raise UserError(f"{what} is no text but {type(text).__name__}")
    if not text.strip():
        raise UserError(f"{what} is empty")
    if "\0" in text:
        raise UserError(f"{what} has a NUL character (at position {text.index(chr(0))}), which is no text; remove it")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise UserError(
            f"{what} is no valid text: half of a surrogate pair, {text[error.start]!a}, at position {error.start}; "
            "give it in UTF-8"
        ) from None


def _image(image: ImageLike) -> Path | Image.Image:
    """An image, or the path of a file whose beginning is one."""
    if isinstance(image, Image.Image):
        return image
    if not isinstance(image, (str, Path)):
        raise UserError(f"an image is a path or a PIL image, not {type(image).__name__}")
    text, path = str(image), Path(image)
    if "://" in text:
        raise DataError(f"{text}: vlrouting fetches no URLs; download the image first")
    try:
        with Image.open(path):
            return path
    except FileNotFoundError:
        where = "there is no such image" if path.parent.is_dir() else f"there is no folder {path.parent}"
        raise DataError(f"{path}: {where}; correct the path") from None
    except IsADirectoryError:
        raise DataError(f"{path}: is a folder; name the images in it, such as {path}/*.jpg") from None
    except PermissionError:
        raise DataError(f"{path}: the image may not be read; correct its permissions") from None
    except UnidentifiedImageError:
        raise DataError(f"{path}: is no image that Pillow can read") from None
    except Exception as error:  # a damaged header makes Pillow's readers raise almost anything
        raise DataError(f"{text!r}: cannot be read as an image ({error})") from None


def _count(images: int) -> str:
    return {1: "one image", 2: "two images"}.get(images, f"{images} images")
