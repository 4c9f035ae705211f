"""A trained artifact in use: answers questions about images, generates captions."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, cast, overload

import torch
from PIL import Image

from vlrouting.backbones.feature_cache import PixelSource
from vlrouting.backbones.load import load_backbones
from vlrouting.backbones.vision import VisionEncoder
from vlrouting.bottleneck import ArtifactError
from vlrouting.bottleneck.artifact import built_from, load_trained_tensors, read_artifact, require_same_weights
from vlrouting.config import TASKS, ExperimentConfig
from vlrouting.config.names import counted
from vlrouting.data.example import Example
from vlrouting.data.images import load_image, shown
from vlrouting.experiment import UserError
from vlrouting.models.joint_model import JointModel
from vlrouting.prediction.requests import ImageLike, Request, make_request, require_images
from vlrouting.prediction.stored import StoredArtifact, open_artifact
from vlrouting.tasks.joint import build_model, described_backbones, stored_selection
from vlrouting.tasks.randomness import seed_step
from vlrouting.tasks.task import Task, TaskInputs

Images = ImageLike | Sequence[ImageLike]
Ranked = tuple[tuple[str, float | None], ...]


@dataclass(frozen=True)
class Answer:
    """What a model says to a request."""

    text: str
    """The best answer, or the caption."""
    ranked: Ranked
    """The best answers with their probabilities; of a generated text that alone, with None."""
    tokens: int
    """Tokens of the prompt that the model has read, special ones included."""
    tokens_cut: int = 0
    """Tokens of a longer prompt that it has not read."""

    @property
    def probability(self) -> float | None:
        """Of the best answer; None for a generated text."""
        return self.ranked[0][1]

    def __str__(self) -> str:
        return self.text


class Predictor:
    """A trained model, loaded once.

    >>> predictor = Predictor("runs/demo_vqa/routing=mul")
    >>> predictor.answer("docs/example.png", "what color is the shape?").text
    'red'
    """

    def __init__(
        self,
        artifact: str | Path | StoredArtifact,
        *,
        dataset: str | None = None,
        device: str = "auto",
        trust_plugins: bool = False,
    ):
        """
        Args:
            artifact: the folder of an artifact, or the run directory around it.
            dataset: of a model that was trained on several, the one whose prompt and task are used. Default: the first
                whose task answers, or describes, as it is asked to.
            device: `auto` is a GPU if there is one; else `cpu`, `cuda`, `cuda:1`, ….
            trust_plugins: import the modules that the artifact names under `plugins`, which runs their code.

        Raises:
            UserError: there is no artifact, it was not trained on the dataset, it names plug-ins and they are not
                trusted, or there is no such device.
            ArtifactError: it is damaged, or does not fit its backbones.
            BackboneError: a frozen backbone cannot be loaded.
        """
        self.device = _device(device)
        if not isinstance(artifact, StoredArtifact):
            artifact = open_artifact(artifact, trust_plugins, dataset)
        self._loaded = _load(artifact)
        self._loaded.model.to(self.device).eval()
        self._use(artifact)

    def _use(self, stored: StoredArtifact) -> None:
        """Ask as the dataset of `stored` does."""
        self.stored, self.config, self.folder = stored, stored.config, stored.folder
        task: Task = TASKS.load(self.config.task)
        inputs = self._loaded.inputs(self.config)
        self.task_model = task.module(self._loaded.model, inputs)
        self.images = stored.images or self._loaded.images
        self._collate = task.collate(inputs, training=False)

    def of(self, dataset: str) -> Predictor:
        """The same loaded model, asked as another of the datasets that it was trained on is.

        Raises:
            UserError: it was not trained on such a dataset.
        """
        return self._as(self.stored.of(dataset))

    def _as(self, stored: StoredArtifact) -> Predictor:
        if stored.dataset == self.stored.dataset:
            return self
        other = copy(self)
        other._use(stored)
        return other

    @overload
    def answer(self, images: Images, question: str, top: int = 5) -> Answer: ...

    @overload
    def answer(self, images: Sequence[Images], question: list[str], top: int = 5) -> list[Answer]: ...

    def answer(
        self, images: Images | Sequence[Images], question: str | list[str], top: int = 5
    ) -> Answer | list[Answer]:
        """Answer a question about an image, or a list of questions about as many images.

        Args:
            images: a path or a PIL image; a pair of them for a model of pairs (NLVR2); with a list of questions, a list
                with the image (or pair) of each.
            question: one, or a list.
            top: how many answers to keep in `Answer.ranked`.

        Raises:
            DataError: an image is missing or damaged.
            UserError: the model is for captions or was trained on another number of images, or a question is empty.
        """
        asked = self._as(self.stored.for_command("predict"))
        if isinstance(question, str):
            return asked._warned([self._request(cast(Images, images), question)], top)[0]
        groups = _listed(cast(Images, images))
        if len(groups) != len(question):
            found = f"{counted(len(groups), 'image')} and {counted(len(question), 'question')}"
            raise UserError(f"{found}: give each question its image, or its pair")
        return asked._warned([self._request(*each) for each in zip(groups, question, strict=True)], top)

    @overload
    def caption(self, images: ImageLike) -> str: ...

    @overload
    def caption(self, images: list[ImageLike]) -> list[str]: ...

    def caption(self, images: ImageLike | list[ImageLike]) -> str | list[str]:
        """Generate the caption of an image, or of each image of a list.

        Raises:
            DataError: an image is missing or damaged.
            UserError: the model is for questions.
        """
        asked = self._as(self.stored.for_command("caption"))
        found = [answer.text for answer in asked.answers([self._request(image) for image in _listed(images)])]
        return found[0] if _is_one(images) else found

    def answers(self, requests: Iterable[Request], top: int = 1) -> Iterator[Answer]:
        """The answers (or captions) one by one, computed in batches of `evaluate.batch_size`.

        Raises:
            DataError: an image is damaged.
            UserError: a request has another number of images than the model was trained on.
        """
        remaining, number = iter(requests), 0
        while batch := list(islice(remaining, self.config.evaluate.batch_size)):
            for request in batch:
                require_images(request, self.images)
            yield from self._batch(batch, number, top)
            number += 1

    def __repr__(self) -> str:
        config, model = self.config, self.task_model.model
        bottlenecks = ", ".join(f"{each.kind}/{each.routing_names}" for each in config.named_bottlenecks.values())
        return (
            f"Predictor({str(self.folder)!r}, task={config.task}, language={config.language.name}, "
            f"vision={config.vision.name if config.uses_image else None}, bottleneck={bottlenecks}, "
            f"trainable={model.trainable_parameters:,} of {model.total_parameters:,}, device={self.device})"
        )

    @torch.inference_mode()
    def _batch(self, requests: Sequence[Request], number: int, top: int) -> Iterator[Answer]:
        # `Example.images` are paths elsewhere; here `_open` makes of each what it is.
        examples = [Example(n, cast(tuple[Path, ...], r.images), r.question, {}) for n, r in enumerate(requests)]
        gpus = [] if self.device.type == "cpu" else [self.device]
        batch = self._collate(examples)
        batch.dataset = self.stored.dataset
        with torch.random.fork_rng(devices=gpus):  # noise and sampling repeat, and the caller's randomness stays
            seed_step(self.config.seed, "predict", number)
            found = self.task_model.ranked(batch.to(self.device), top)
        return (
            Answer(ranked[0][0], _finite(ranked, self.folder), *self._tokens(request))
            for ranked, request in zip(found, requests, strict=True)
        )

    def _request(self, images: Images, question: str | None = None) -> Request:
        return make_request(_listed(images), question)

    def _warned(self, requests: list[Request], top: int) -> list[Answer]:
        found = list(self.answers(requests, top))
        for request, answer in zip(requests, found, strict=True):
            if text := cut_text(request, answer):
                warnings.warn(text, stacklevel=3)
        return found

    def _tokens(self, request: Request) -> tuple[int, int]:
        """Tokens of a prompt that are read, and those that `data.max_text_tokens` cuts off."""
        data = self.config.data
        prompt = data.prompt.format(text=request.question)
        special = self._collate.prompts.special
        # `verbose` would warn that the language model takes no text as long.
        found = self.task_model.inputs.tokenizer(prompt, add_special_tokens=special, verbose=False)["input_ids"]
        return min(len(found), data.max_text_tokens), max(0, len(found) - data.max_text_tokens)


def cut_text(request: Request, answer: Answer) -> str | None:
    """The warning for a question that is too long; None where all of it was read."""
    if not answer.tokens_cut:
        return None
    return (
        f"{str(request)[:60]}…: the question has {answer.tokens + answer.tokens_cut:,} tokens, and the model read the "
        f"first {answer.tokens} (data.max_text_tokens, as in training)"
    )


def _listed(images: Images) -> list[ImageLike]:
    return [images] if _is_one(images) else list(images)  # type: ignore[list-item, arg-type]


def _is_one(images: object) -> bool:
    return isinstance(images, (str, Path, Image.Image))


def _open(image: Path | Image.Image) -> Image.Image:
    return shown(image) if isinstance(image, Image.Image) else load_image(image)


def _finite(ranked: Sequence[tuple[str, float | None]], folder: Path) -> Ranked:
    if any(probability is not None and not math.isfinite(probability) for _, probability in ranked):
        raise UserError(f"{folder}: the model gives no finite numbers; its training has diverged: train it again")
    return tuple(ranked)


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"there is no device '{name}' here ({str(error).splitlines()[0]}); use auto or cpu") from None
    return device


@dataclass(frozen=True)
class _Loaded:
    """The model with its frozen backbones."""

    model: JointModel
    tokenizer: Any
    answers: tuple[str, ...]
    source: PixelSource | None
    images: int | None
    """Images of an example, where an older artifact does not say, as far as they are known."""

    def inputs(self, config: ExperimentConfig) -> TaskInputs:
        """Of a dataset's task."""
        return TaskInputs(config, self.tokenizer, self.answers, self.source)


def _load(artifact: StoredArtifact) -> _Loaded:
    """The model with its frozen backbones."""
    config = artifact.point
    stored, tensors = read_artifact(artifact.folder)
    backbones = load_backbones(config)
    try:
        answers = tuple(map(str, stored["answers"]))
        shape = tuple(stored["visual_shape"]) if stored["visual_shape"] else None
        selection = stored_selection(stored)
        shapes = {name: each["visual_shape"] for name, each in (stored.get("datasets") or {}).items()}
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactError(f"{artifact.folder}: adapter_config.json is damaged ({error}); copy it again") from None
    with built_from(artifact.folder, tensors):
        model = build_model(config, backbones, shape, len(answers), selection)  # type: ignore[arg-type]
    model.visual_tokens = {name: int(each[0]) for name, each in shapes.items() if each}
    load_trained_tensors(model, tensors, str(artifact.folder))
    require_same_weights(stored, described_backbones(backbones, model, config), str(artifact.folder))
    source = PixelSource(backbones.vision.transform, _open) if backbones.vision is not None else None
    images = None if artifact.images else _images_per_example(shape, backbones.vision)
    return _Loaded(model, backbones.language.tokenizer, answers, source, images)


@torch.inference_mode()
def _images_per_example(shape: tuple[int, ...] | None, encoder: VisionEncoder | None) -> int | None:
    """Of an older artifact, which does not say: the visual tokens of an example over those of an image. None where no
    image is read."""
    if shape is None or encoder is None:
        return None
    return int(shape[0]) // int(encoder(torch.zeros(1, 3, *encoder.image_size)).shape[1])
