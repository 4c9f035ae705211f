"""Caption scores against pycocoevalcap with real Java, and the behaviour if Java or a scorer fails."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.rouge.rouge import Rouge
from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

from vlrouting.metrics import caption_meteor, caption_spice, caption_tokens
from vlrouting.metrics.caption_scores import SCORE_NAMES, CaptionScores, missing_requirements, score
from vlrouting.metrics.caption_tokens import one_line, tokenize_officially
from vlrouting.metrics.per_example import statistic

Captions = tuple[dict[Any, str], dict[Any, list[str]]]
NEED_TOKENS = [name for name in SCORE_NAMES if name != "METEOR"]

IMAGES: dict[int | str, list[str]] = {
    # id: the caption to score, then its references
    391895: ["A man riding a red bicycle.", "A man rides a bike down the road.", "a man riding a red bicycle"],
    "007": ["a man riding a horse", "a man is riding a horse on a beach.", "a person on horseback", "a horse"],
    7: ["Two dogs play in the snow", "Two dogs are playing in snow.", "A pair of dogs play with each other"],
    "7": ["the the the the the the", "the cat is on the mat", "there is a cat on the mat"],
    0: ["", "an empty caption is scored too", "it has no word"],
    1: [".", "a caption of which nothing is left", "only a period"],
    2: ["a caption whose reference is empty", "", "a caption"],
    3: ["...", "..."],
    4: ["a | b ||| c", "a ||| b", "bars | and ||| more bars"],
    5: ["|||", "a cat ||| a dog"],
    6: ["SCORE ||| a cat ||| EVAL", "EVAL ||| 1.0 2.0"],
    8: ["A man isn't on the street, he can't cross it.", "a man is not on the street", "he cannot cross the street"],
    9: ["a house on Main St.", "a house in St. Louis on Main St.", "A man in the U.S."],
    10: ["A dog in the U.S.", "A dog in the United States", "a dog; in the U.S."],
    11: ['a sign that says "stop"', "a stop sign", "a sign saying ``STOP''"],
    12: ["a café with a crème brûlée", "a cafe with a creme brulee", "Café au lait — and crème"],
    13: ["two women\u2019s hats \u2013 \u201cnew\u201d", "two women's hats", "the women's new hats"],
    14: ["ein Bär an der Straße", "БОЛЬШОЙ медведь", "一只熊在街上"],
    15: ["a 😀 smiling 😀 face", "a smiling face", "😀"],
    16: ["costs £5 or €3,000.50 or $4", "it costs 5 pounds", "price: £5"],
    17: ["call 555 123 4567 now", "a telephone number (555) 123-4567", "call now"],
    18: ["a t-shirt and/or a well-known half-open door", "a t shirt or a half open door", "a well known door"],
    19: ["(a man) [in] {brackets} <b>bold</b>", "a man in brackets", "a bold man"],
    20: ["what?! no!! yes...", "what? no! yes.", "what no yes"],
    21: ["a\nnew line", "a new\nline", "a new line\n"],
    22: ["  spaces\tand\u00a0more   spaces ", "spaces and more spaces", " spaces "],
    23: ["Istanbul IŞIK İSTANBUL", "istanbul işik istanbul", "ISTANBUL"],
    24: ["a half ½ and 1 1/2 of 3/4", "one half and one and a half", "1/2 of 3/4"],
    25: ["wanna gonna cannot", "want to, going to, can not", "wan na gon na"],
    26: ["kids playing soccer", "children play football", "kids are playing soccer in the field"],
    27: ["children playing football", "kids playing soccer", "the boys kick a ball"],
    28: [
        "a very long caption of a man who walks and walks and walks along a very long and very dusty road",
        "a man walks",
    ],
    29: ["a c\x00d\x1ce\x85f", "a cd e f", "www.example.com/a?b=c user@example.com"],
    30: ["the last image of all", "the very last of the images", "Mr. Smith's last image vs. the first etc."],
}


def captions_of(images: dict[Any, list[str]]) -> Captions:
    return {key: texts[0] for key, texts in images.items()}, {key: texts[1:] for key, texts in images.items()}


def score_by_hand(hypotheses: dict[Any, str], references: dict[Any, list[str]]) -> CaptionScores:
    """pycocoevalcap, scorer by scorer, as its users write it."""
    tokenizer = PTBTokenizer()
    truth = tokenizer.tokenize({key: [{"caption": text} for text in texts] for key, texts in references.items()})
    result = tokenizer.tokenize({key: [{"caption": text}] for key, text in hypotheses.items()})
    by_hand = CaptionScores(per_image={key: {} for key in truth})
    bleu, bleus = Bleu(4).compute_score(truth, result, verbose=0)
    rows = [(f"Bleu_{n + 1}", bleu[n], bleus[n]) for n in range(4)]
    scorers = {"ROUGE_L": Rouge(), "CIDEr": Cider()}
    rows += [(name, *scorer.compute_score(truth, result)) for name, scorer in scorers.items()]
    for name, corpus, images in rows:
        by_hand.corpus[name] = corpus
        for key, value in zip(truth, images, strict=True):
            by_hand.per_image[key][name] = value
    return by_hand


def put_java(patch: pytest.MonkeyPatch, folder: Path, script: str) -> None:
    """Make `script` the only `java` on PATH; in it, $JAVA is the real one."""
    real = shutil.which("java")
    assert real is not None
    java = folder / "java"
    java.write_text(script if script.startswith("#!") else f"#!/bin/sh\nJAVA={real}\n{script}\n", encoding="utf-8")
    java.chmod(java.stat().st_mode | stat.S_IXUSR)
    patch.setenv("PATH", f"{folder}{os.pathsep}/usr/bin{os.pathsep}/bin")


@pytest.fixture
def no_java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))


# Official values


@pytest.mark.slow
def test_scores_equal_pycocoevalcap(path_with_meteor: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one test, because METEOR reads its table for seconds whenever it is started. What pycocoevalcap gets of it is
    stored: `score_by_hand` with `Meteor()` among the scorers."""
    monkeypatch.setenv("PATH", path_with_meteor)
    by_hand = score_by_hand(*captions_of(IMAGES))
    official = json.loads((Path(__file__).parents[1] / "fixtures" / "meteor.json").read_text())
    by_hand.corpus["METEOR"] = official["corpus"]
    for image, value in zip(IMAGES, official["images"], strict=True):
        by_hand.per_image[image]["METEOR"] = value
    for name in ("LANG", "LC_ALL", "LC_CTYPE"):  # the scores must not depend on the locale
        monkeypatch.setenv(name, "C")
    ours = score(*captions_of(IMAGES))
    assert list(ours.corpus) == list(SCORE_NAMES)
    assert ours.corpus == pytest.approx(by_hand.corpus, abs=1e-9, rel=0)
    assert ours.not_computed == {}
    assert 0.1 < ours.corpus["METEOR"] < 0.9  # the captions give no trivial score
    counts = {name: np.array(list(of_image.values())) for name, of_image in ours.summands.items()}
    for name, of_image in {"METEOR": "METEOR", **{f"Bleu_{n}": "Bleu" for n in range(1, 5)}}.items():
        corpus, images = statistic(name)(counts[of_image].sum(0)), statistic(name)(counts[of_image])
        assert corpus == pytest.approx(100 * by_hand.corpus[name], abs=1e-10, rel=0)
        assert images == pytest.approx([100 * by_hand.per_image[image][name] for image in IMAGES], abs=1e-10)
    assert ours.corpus["CIDEr"] > 0.5
    assert list(ours.per_image) == list(IMAGES)
    for image, scores in ours.per_image.items():
        assert scores == pytest.approx(by_hand.per_image[image], abs=1e-9, rel=0), image
    values = [*ours.corpus.values(), *(value for image in ours.per_image.values() for value in image.values())]
    assert {type(value) for value in values} == {float}


def test_image_scores_do_not_depend_on_the_order_of_captions() -> None:
    """References and captions in different orders: captions are matched by id."""
    hypotheses, references = captions_of(IMAGES)
    shuffled = dict(reversed(list(references.items())))
    tokens = tokenize_officially(references, {key: [text] for key, text in hypotheses.items()})
    again = tokenize_officially(shuffled, {key: [text] for key, text in hypotheses.items()})
    assert tokens[1] == again[1]
    assert list(again[0]) == list(shuffled)


# Captions that would shift the scores of others


def test_a_character_that_ends_a_line_becomes_a_space() -> None:
    characters = ["\n", "\r", "\r\n", "\v", "\f", "\u2028", "\u2029", "\ud800", "\udfff"]
    places = ["{0}a cat", "a{0}cat", "a cat{0}", "{0}", "a.{0}{0}b", "fence"]
    captions = {character: [place.format(character) for place in places] for character in characters}
    spaced = {character: [place.format(" ") for place in places] for character in characters}
    assert tokenize_officially(captions) == tokenize_officially(spaced)


def test_no_unicode_character_shifts_captions() -> None:
    characters = [*map(chr, range(0x10000)), *map(chr, range(0x10000, 0x110000, 0x333))]
    captions = {number: [f"a {text} b", "fence"] for number, text in enumerate(characters)}
    tokens = tokenize_officially(captions)[0]
    assert [number for number, texts in tokens.items() if texts[1] != "fence"] == []
    assert [number for number, texts in tokens.items() if not texts[0].startswith("a")] == []
    assert [number for number, texts in tokens.items() if "|||" in texts[0]] == []


def test_no_token_crosses_the_end_of_a_caption() -> None:
    firsts = ["<a", "<a href='x", "<!--", "(555)", "1", "Mr.", "U.S.", "*NL*", "'", "a -", "&lt", ""]
    seconds = ["b>", "x'>", "-->", "555-1234", "1/2", "A man", "*NL*", "s", "- b", ";", ""]
    captions = {(first, second): ["fence", first, second, "fence"] for first in firsts for second in seconds}
    tokens = tokenize_officially(captions, {0: ["wire"]})
    assert {(texts[0], texts[-1]) for texts in tokens[0].values()} == {("fence", "fence")}
    assert tokens[1] == {0: ["wire"]}


def test_lists_are_tokenized_separately() -> None:
    """As in pycocoevalcap, the last caption of a list must not depend on the first one of the next list."""
    apart = tokenize_officially({0: ["in the U.S."]}, {0: ["A man"]})
    together = tokenize_officially({0: ["in the U.S.", "A man"]})
    by_hand = PTBTokenizer().tokenize({0: [{"caption": "in the U.S."}]})
    assert apart[0] == by_hand
    assert apart[1] == {0: ["a man"]}
    assert len(together[0][0]) == 2


def test_one_line_keeps_all_other_characters() -> None:
    assert one_line("a\tb\u00a0c\x85d\x1ce é 😀") == "a\tb\u00a0c\x85d\x1ce é 😀"


def test_a_tokenizer_that_loses_a_line_is_detected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_java(monkeypatch, tmp_path, "for n in 0 1; do echo a > captions$n.tokens; done")
    scores = score({1: "a dog", 2: "it's", 3: "b"}, {1: ["a"], 2: ["b"], 3: ["c"]})
    assert scores.corpus == {}
    assert "2 lines for 3 captions" in scores.not_computed["CIDEr"]


def test_a_full_disk_raises_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    scores = score({1: "it's"}, {1: ["it is"]})
    assert list(scores.not_computed) == list(SCORE_NAMES)
    assert "make room" in scores.not_computed["CIDEr"]
    assert "nowhere" in scores.not_computed["CIDEr"]


# Bad input


@pytest.mark.parametrize(
    ("hypotheses", "references", "message"),
    [
        ({}, {}, "no caption to score"),
        ({1: "a"}, {}, "no caption to score"),
        ({1: "a"}, {1: ["a"], 2: ["b"], "2": ["c"]}, r"references but no caption to score: 2 \(2, '2'\)"),
        (
            {n: "a" for n in range(9)},
            {0: ["a"]},
            r"a caption to score but no references: 8 \(1, 2, 3, 4, 5 and 3 more\)",
        ),
        ({1: "a", 2: "b"}, {1: ["a"], 2: []}, r"an empty list of references: 1 \(2\)"),
        ({1: "a"}, {1: "a reference"}, r"no list of strings: 1 \(1\)"),
        ({1: "a"}, {1: None}, r"no list of strings: 1 \(1\)"),
        ({1: "a", "x": "b"}, {1: ["a"], "x": ["b", None]}, r"no list of strings: 1 \('x'\)"),
        ({1: "a", "x": None}, {1: ["a"], "x": ["b"]}, r"a caption that is no string: 1 \('x'\)"),
        ({1: ["a"]}, {1: ["a"]}, r"a caption that is no string: 1 \(1\)"),
    ],
)
def test_invalid_input_is_an_error_that_names_ids(hypotheses: Any, references: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        score(hypotheses, references)


# Without Java

PLAIN: dict[Any, list[str]] = {
    1: ["A red circle is above a blue square.", "a red circle above a blue square", "There is a circle, a red one."],
    "02": ["2 green triangles", "two green triangles", "2 triangles; both are green!"],
    2: ["a large yellow star left of a small star", "a star", "a small star is right of a large yellow star"],
    3: ["", "nothing"],
}


@pytest.mark.usefixtures("no_java")
def test_plain_captions_are_scored_without_java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scores = score(*captions_of(PLAIN))
    monkeypatch.undo()
    by_hand = score_by_hand(*captions_of(PLAIN))
    assert scores.corpus == pytest.approx(by_hand.corpus, abs=1e-9, rel=0)
    for image in PLAIN:
        assert scores.per_image[image] == pytest.approx(by_hand.per_image[image], abs=1e-9, rel=0)
    assert list(scores.not_computed) == ["METEOR"]
    assert "Java is not on PATH" in scores.not_computed["METEOR"]
    assert "environment.yml" in scores.not_computed["METEOR"]


@pytest.mark.usefixtures("no_java")
def test_other_captions_are_not_scored_without_java() -> None:
    hypotheses, references = captions_of(PLAIN)
    scores = score({**hypotheses, "02": "it's green"}, references)
    assert scores.corpus == {}
    assert scores.per_image == {image: {} for image in PLAIN}
    assert list(scores.not_computed) == list(SCORE_NAMES)
    for reason in scores.not_computed.values():
        assert "environment.yml" in reason
        assert 'image 02: "it\'s green" needs the official tokenizer' in reason


@pytest.mark.usefixtures("no_java")
def test_cider_of_a_single_image_is_zero() -> None:
    scores = score({1: "a red circle"}, {1: ["a red circle"]})
    assert scores.corpus["CIDEr"] == 0.0
    assert scores.corpus["ROUGE_L"] == 1.0


@pytest.mark.usefixtures("no_java")
def test_cider_of_correct_captions_of_two_images_is_ten() -> None:
    images = {1: "a red circle over there", 2: "one blue square right here"}
    scores = score(images, {image: [text] for image, text in images.items()})
    assert scores.corpus["CIDEr"] == pytest.approx(10.0)
    assert scores.corpus["Bleu_4"] == pytest.approx(1.0, abs=1e-6)


@pytest.mark.usefixtures("no_java")
def test_a_failing_scorer_is_listed_and_the_others_are_computed() -> None:
    scores = score({1: "a cat", 2: "a dog"}, {1: ["."], 2: ["", " "]})
    assert set(scores.corpus) == {*NEED_TOKENS} - {"CIDEr"}
    assert "no reference has a word" in scores.not_computed["CIDEr"]


# Java that fails


def test_a_java_that_cannot_start_counts_as_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_java(monkeypatch, tmp_path, 'echo "Error: could not find libjava.so" >&2; echo done >&2; exit 1')
    scores = score(*captions_of(PLAIN))
    assert set(scores.corpus) == set(NEED_TOKENS)
    assert "could not find libjava.so" in scores.not_computed["METEOR"]


def test_a_java_that_is_no_program_counts_as_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_java(monkeypatch, tmp_path, "#!/no/such/interpreter")
    scores = score(*captions_of(PLAIN))
    assert set(scores.corpus) == set(NEED_TOKENS)
    assert "does not start" in scores.not_computed["METEOR"]
    assert "does not start" in missing_requirements()["METEOR"]


def test_a_hanging_tokenizer_is_terminated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_java(monkeypatch, tmp_path, f"echo $$ > {tmp_path}/pid; exec sleep 600")
    monkeypatch.setattr(caption_tokens, "_SECONDS", 1)
    scores = score(*captions_of(PLAIN))
    assert "within 1 seconds" in scores.not_computed["METEOR"]
    assert_ended(tmp_path / "pid")


def meteor_is(patch: pytest.MonkeyPatch, folder: Path, script: str) -> None:
    """Run `script` instead of METEOR, and real Java for the other programs."""
    put_java(patch, folder, f'case "$*" in *meteor*) echo $$ > {folder}/pid; {script};; esac; exec $JAVA "$@"')


def assert_ended(pid_file: Path) -> None:
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid_file.read_text()), 0)


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo 'java.lang.OutOfMemoryError: heap' >&2; exit 3", "OutOfMemoryError: heap"),
        ("while read line; do echo Error: bad line; done", "unexpected answer 'Error: bad line'"),
        ("read line; echo 1.0 2.0; exit 0", "unexpected answer '1.0 2.0'"),
        (f"read line; echo {'1.0 ' * 23}; exit 0", "Java failed (without a message)"),
        ("exec sleep 600", "within 2 seconds"),
    ],
)
def test_a_failing_meteor_is_listed_and_its_process_terminated(
    script: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    meteor_is(monkeypatch, tmp_path, script)
    monkeypatch.setattr(caption_meteor, "_START_SECONDS", 2)
    monkeypatch.setattr(caption_meteor, "_SECONDS_PER_IMAGE", 0)
    scores = score(*captions_of(IMAGES))
    assert set(scores.corpus) == set(NEED_TOKENS)
    assert list(scores.not_computed) == ["METEOR"]
    assert reason in scores.not_computed["METEOR"]
    assert_ended(tmp_path / "pid")


@pytest.fixture
def interrupt_after_the_start(tmp_path: Path) -> Iterator[None]:
    """Send Ctrl-C to this process after METEOR has started. A test run in the background ignores it, as it comes."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def press() -> None:
        late = time.monotonic() + 120
        while time.monotonic() < late and not ((tmp_path / "pid").is_file() and (tmp_path / "pid").read_text()):
            time.sleep(0.01)
        time.sleep(0.2)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=press)
    thread.start()
    yield
    thread.join()
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interrupt_after_the_start")
def test_an_interrupted_meteor_is_terminated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    meteor_is(monkeypatch, tmp_path, "exec sleep 600")
    with pytest.raises(KeyboardInterrupt):
        score(*captions_of(PLAIN))
    assert_ended(tmp_path / "pid")


def test_package_folder_is_not_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_java(monkeypatch, tmp_path, f'pwd >> {tmp_path}/folders; exec $JAVA "$@"')
    tokenize_officially({1: ["a cat"]})
    (folder,) = (tmp_path / "folders").read_text().splitlines()
    assert "site-packages" not in folder
    assert not Path(folder).exists()  # it was temporary


# SPICE


def spice_runs(patch: pytest.MonkeyPatch, folder: Path, version: str = "11.0.2", scores: str = "") -> None:
    """Make jars, and a fake `java` for SPICE: F-score = 1 / (1 + number of references), no score for one reference."""
    (folder / "lib").mkdir()
    for jar in caption_spice.JARS:
        (folder / "lib" / jar).touch()
    patch.setattr(caption_spice, "_folder", lambda: folder)
    script = f"""#!{sys.executable}
import json, os, sys
if "-version" in sys.argv:
    sys.exit(print('openjdk version "{version}" 2019', file=sys.stderr))
if "spice-1.0.jar" not in sys.argv:
    os.execv({shutil.which("java")!r}, sys.argv)
read, written = sys.argv[sys.argv.index("spice-1.0.jar") + 1], sys.argv[sys.argv.index("-out") + 1]
records = reversed(json.load(open(read)))
f = lambda record: None if record["refs"] == ["a"] else 1 / (1 + len(record["refs"]))
answer = [dict(image_id=record["image_id"], scores=dict(All=dict(f=f(record)))) for record in records]
open(written, "w").write({scores!r} or json.dumps(answer))
"""
    put_java(patch, folder, script)


def test_spice_is_computed_if_it_can_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spice_runs(monkeypatch, tmp_path)
    scores = score({"1": "a", 1: "b"}, {"1": ["a", "b"], 1: ["a", "b", "c"]}, spice=True)
    assert {image: values["SPICE"] for image, values in scores.per_image.items()} == {"1": 1 / 3, 1: 1 / 4}
    assert scores.corpus["SPICE"] == pytest.approx(7 / 24)
    assert "SPICE" not in scores.not_computed
    assert "SPICE" not in missing_requirements(spice=True)


def test_spice_of_an_image_without_a_score_is_not_computed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spice_runs(monkeypatch, tmp_path)
    scores = score({1: "a"}, {1: ["a"]}, spice=True)
    assert "SPICE" not in scores.corpus and "image 1" in scores.not_computed["SPICE"]


@pytest.mark.parametrize("version", ["17.0.15", "21"])
def test_spice_needs_an_old_java(version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spice_runs(monkeypatch, tmp_path, version)
    scores = score({1: "a"}, {1: ["a"]}, spice=True)
    assert f"runs on Java 8 or 11, not on {version.split('.')[0]}" in scores.not_computed["SPICE"]
    assert "SPICE" not in scores.corpus
    assert missing_requirements(spice=True) == {"SPICE": scores.not_computed["SPICE"]}


def test_spice_runs_on_java_8(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spice_runs(monkeypatch, tmp_path, "1.8.0_292")
    assert missing_requirements(spice=True) == {}


def test_a_spice_with_invalid_output_is_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spice_runs(monkeypatch, tmp_path, scores="[{}]")
    assert "cannot be read" in score({1: "a"}, {1: ["a"]}, spice=True).not_computed["SPICE"]


def test_missing_jars_of_spice_are_named_with_their_folder() -> None:
    reason = missing_requirements(spice=True)["SPICE"]
    assert "stanford-corenlp-3.6.0.jar and stanford-corenlp-3.6.0-models.jar not found" in reason
    assert "pycocoevalcap/spice/lib" in reason


# What will be missing


def test_nothing_is_missing_with_java() -> None:
    assert missing_requirements() == {}


@pytest.mark.usefixtures("no_java")
def test_missing_java_is_reported_before_training() -> None:
    missing = missing_requirements()
    assert list(missing) == list(SCORE_NAMES)
    assert "default-jre-headless" in missing["METEOR"]
    assert "only if all captions are plain" in missing["Bleu_4"]
    assert "only where" not in missing["METEOR"]


def test_the_version_of_java_is_requested_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_java(monkeypatch, tmp_path, f'echo $* >> {tmp_path}/asked; exec $JAVA "$@"')
    assert missing_requirements() == {} == missing_requirements()
    assert (tmp_path / "asked").read_text() == "-version\n"
