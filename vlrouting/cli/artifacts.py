"""Commands on what training wrote: predict, caption, score. Errors are reported before torch is imported."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vlrouting.cli.app import app, fail
from vlrouting.cli.loading import loading
from vlrouting.config.names import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vlrouting.prediction.predictor import Answer, Predictor
    from vlrouting.prediction.requests import Request
    from vlrouting.prediction.stored import StoredArtifact

STANDARD_INPUT = "-"
ArtifactFolder = Annotated[
    str, typer.Argument(help="runs/<experiment>/<point>, or the artifact folder in it.", show_default=False)
]
Device = Annotated[str, typer.Option(help="auto (a GPU if there is one), cpu, cuda, cuda:1, …")]
OfDataset = Annotated[
    str | None,
    typer.Option("--dataset", help="Of a model trained on several: the one whose prompt and task are used."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")]
TrustPlugins = Annotated[
    bool, typer.Option("--trust-plugins", help="Import the modules that the artifact names, which runs their code.")
]


@app.command()
def predict(
    artifact: ArtifactFolder,
    inputs: Annotated[
        list[str] | None,
        typer.Argument(metavar="IMAGE… [QUESTION] | -", help="Image files and a question (or a statement)."),
    ] = None,
    question: Annotated[
        list[str] | None, typer.Option("--question", "-q", help="Ask this about every image; may be repeated.")
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="How many answers to show.")] = 3,
    dataset: OfDataset = None,
    as_json: AsJson = False,
    device: Device = "auto",
    trust_plugins: TrustPlugins = False,
) -> None:
    """Answer questions about images.

    \b
    vlrouting predict runs/demo_vqa/routing=mul docs/example.png "what color is the shape?"
    vlrouting predict runs/demo_vqa/routing=mul images/*.png -q "what color?" -q "what shape?"
    vlrouting predict runs/demo_nlvr2/routing=mul left.png right.png "Both have a circle."
    vlrouting predict runs/demo_vqa/routing=mul - --json < questions.jsonl

    With -q every argument is an image, and a model of image pairs takes each two neighbours as a pair. With - each line
    of standard input is a JSON object, {"image": "a.png", "question": "what?"} (or "images" with a list), or image and
    question with a tab between them.
    """
    from vlrouting.prediction.requests import grouped, make_request, require_images

    stored, given, asked = _open(artifact, "predict", dataset, trust_plugins), inputs or [], question or []
    if given == [STANDARD_INPUT]:
        if asked:
            fail("- takes the questions from standard input; leave -q out, or name the images")
        requests = _from_standard_input(stored, asks=True)
    elif asked:
        requests = grouped(given, asked, stored.images or 1)
    elif len(given) < 2:
        fail(f"give an image and a question: vlrouting predict {artifact} IMAGE QUESTION")
    else:
        requests = [make_request(given[:-1], given[-1])]
        require_images(requests[0], stored.images)
    show = _answer_as_json if as_json else _answer_as_text(several=len(requests) > 1)
    _run(stored, requests, top, device, show)


@app.command()
def caption(
    artifact: ArtifactFolder,
    images: Annotated[
        list[str] | None, typer.Argument(metavar="IMAGE… | -", help="Image files; - reads their names.")
    ] = None,
    dataset: OfDataset = None,
    as_json: AsJson = False,
    device: Device = "auto",
    trust_plugins: TrustPlugins = False,
) -> None:
    """Generate a caption for each image.

    \b
    vlrouting caption runs/demo_caption/routing=mul docs/scene.png
    ls images/*.png | vlrouting caption runs/demo_caption/routing=mul - --json

    With - each line of standard input is an image's path, or a JSON object, {"image": "a.png"}.
    """
    from vlrouting.prediction.requests import grouped

    stored = _open(artifact, "caption", dataset, trust_plugins)
    if not images:
        fail(f"give an image: vlrouting caption {artifact} IMAGE")
    if images == [STANDARD_INPUT]:
        requests = _from_standard_input(stored, asks=False)
    else:
        requests = grouped(images, [None], stored.images or 1)
    show = _caption_as_json if as_json else _caption_as_text(several=len(requests) > 1)
    _run(stored, requests, 1, device, show)


@app.command()
def score(
    predictions: Annotated[
        Path,
        typer.Argument(help="runs/<experiment>/<point>/predictions.jsonl; with --check runs/<experiment>[/<point>]."),
    ],
    per_image: Annotated[Path | None, typer.Option(help="Also write every image's scores to this JSON file.")] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Compute every number of runs again, and compare it with what is stored.")
    ] = False,
    trust_plugins: TrustPlugins = False,
) -> None:
    """Score predictions again, offline: a file of captions, or with --check the runs of any data set.

    \b
    vlrouting score runs/demo_caption/routing=mul/predictions.jsonl
    vlrouting score --check runs/demo_vqa

    --check needs predictions.jsonl, metrics.json, run.json and config.yaml, and neither images nor a GPU. The exit
    status is 1 if a number is not what the predictions give.
    """
    if not check:
        from vlrouting.report.caption_rescore import score_captions

        score_captions(predictions, per_image)
        return
    if per_image is not None:
        fail("--per-image is for a file of captions, without --check")
    from vlrouting.report.rescore import check_scores

    if not all(run.agrees for run in check_scores(predictions, trust_plugins)):
        from vlrouting.experiment.exit_status import ExitStatus

        raise SystemExit(int(ExitStatus.FAILED))


def _open(artifact: str, command: str, dataset: str | None, trust_plugins: bool) -> StoredArtifact:
    from vlrouting.prediction.stored import open_artifact

    return open_artifact(artifact, trust_plugins, dataset).for_command(command)


def _from_standard_input(stored: StoredArtifact, asks: bool) -> list[Request]:
    """All lines at once: an invalid one is reported before anything is loaded."""
    from vlrouting.prediction.requests import read_requests, require_images

    try:
        requests = list(read_requests(sys.stdin, asks))
    except UnicodeDecodeError as error:
        fail(f"standard input is no text in UTF-8 ({error.reason} at byte {error.start}); convert it first")
    if not requests:
        fail("standard input has no lines")
    for request in requests:
        require_images(request, stored.images)
    return requests


def _run(
    stored: StoredArtifact,
    requests: Sequence[Request],
    top: int,
    device: str,
    show: Callable[[Request, Answer], None],
) -> None:
    with loading(f"the model of {stored.folder}"):
        from vlrouting.prediction.predictor import Predictor, cut_text

        predictor: Predictor = Predictor(stored, device=device)
    for request, answer in zip(requests, predictor.answers(requests, top), strict=True):
        if warning := cut_text(request, answer):
            typer.echo(f"vlrouting: {warning}", err=True)
        show(request, answer)


def _answer_as_text(several: bool) -> Callable[[Request, Answer], None]:
    def show(request: Request, answer: Answer) -> None:
        if several:
            _print(str(request))
        for text, probability in answer.ranked:
            _print(text if probability is None else f"{probability:6.1%}  {text}")

    return show


def _caption_as_text(several: bool) -> Callable[[Request, Answer], None]:
    return lambda request, answer: _print(f"{request}: {answer}" if several else answer.text)


def _answer_as_json(request: Request, answer: Answer) -> None:
    ranked = [{"answer": text, "probability": probability} for text, probability in answer.ranked]
    facts = {"question": request.question, "answer": answer.text, "answers": ranked}
    _print_json(request, {**facts, "tokens": answer.tokens, "tokens_cut": answer.tokens_cut})


def _caption_as_json(request: Request, answer: Answer) -> None:
    _print_json(request, {"caption": answer.text})


def _print_json(request: Request, facts: dict[str, Any]) -> None:
    images = [str(image) for image in request.images]
    record = {**({"image": images[0]} if len(images) == 1 else {"images": images}), **facts}
    _print(json.dumps(record, ensure_ascii=False))


def _print(text: str) -> None:
    """A line; bytes of a file's name that are no text are escaped, as JSON does it."""
    typer.echo(printable(text.encode("utf-8", "backslashreplace").decode()))
