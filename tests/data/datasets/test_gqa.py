"""The GQA reader: examples, records for the metric, and the errors for invalid files."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from tests.data.datasets.official_files import edit_json, missing_sentences, write_json
from vlrouting.config import DataConfig, SplitConfig
from vlrouting.data.datasets.gqa import DEFAULT_SPLITS, read_split
from vlrouting.data.datasets.read import read_splits
from vlrouting.data.datasets.stored_examples import StoredExamples
from vlrouting.data.example import DataError, Example
from vlrouting.metrics.gqa_evaluation import evaluate

VAL = "val_balanced_questions.json"
SKY = "02930152"


def record(question: str, image: str, answer: str | None, structural: str = "verify", **more: Any) -> dict[str, Any]:
    """A record with the keys of the official files; without an answer, with the keys of the test files."""
    if answer is None:
        return {"question": question, "imageId": image, "isBalanced": True}
    return {
        "semantic": [{"operation": "select", "dependencies": [], "argument": "sky (2486325)"}],
        "entailed": [],
        "equivalent": [],
        "question": question,
        "imageId": image,
        "isBalanced": True,
        "groups": {"global": None, "local": "06-sky_dark"},
        "answer": answer,
        "semanticStr": "select: sky (2486325)",
        "annotations": {"answer": {}, "question": {"2": "2486325"}, "fullAnswer": {"2": "2486325"}},
        "types": {"detailed": "verifyAttr", "semantic": "attr", "structural": structural},
        "fullAnswer": "Yes, the sky is dark.",
        **more,
    }


def content() -> dict[str, Any]:
    """Four questions on three images; the ids are not in order."""
    return {
        SKY: record("Is the sky dark?", "2354786", "yes", entailed=["02930160"]),
        "07333408": record("What is on the café's table?", "2375429", "pipe", "query"),
        "201640614": record("Who is it?", "2368326", "man", "query"),
        "02930160": record("Is the sky bright?", "2354786", "no", isBalanced=False),
    }


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_json(tmp_path / VAL, content())
    (tmp_path / "images").mkdir()
    return tmp_path


def read(root: Path, name: str = "val_balanced", split: SplitConfig | None = None) -> StoredExamples:
    splits = {} if split is None else {name: split}
    (examples,) = read_splits(DataConfig("gqa", str(root), splits=splits), [name], images=False).values()
    assert isinstance(examples, StoredExamples)
    return examples


def test_official_file(root: Path) -> None:
    examples = read(root)
    assert len(examples) == 4
    assert examples[0] == Example(
        id=SKY,
        images=(root / "images" / "2354786.jpg",),
        text="Is the sky dark?",
        labels={"yes": 1.0},
        answers=("yes",),
        answer_type="verify",
        question_type="attr",
        answer="yes",
    )
    assert [example.id for example in examples] == list(content())
    assert examples[1].text == "What is on the café's table?"
    assert examples[-1].answer == "no" and examples[1:3] == [examples[1], examples[2]]
    for index in (4, -5):
        with pytest.raises(IndexError, match=f"no example {index} among 4"):
            examples[index]


def test_test_files_have_no_answers(root: Path) -> None:
    write_json(root / "test_all_questions.json", {"00001": record("Is it?", "n411121", None)})
    (example,) = read(root, "test_all")
    assert example == Example("00001", (root / "images" / "n411121.jpg",), "Is it?", {})


def test_a_folder_of_chunks(root: Path) -> None:
    folder = root / "train_all_questions"
    folder.mkdir()
    for chunk in range(11):
        text = {f"{chunk:02d}{number}": record(f"Is it {chunk}?", "1", "yes") for number in range(2)}
        write_json(folder / f"train_all_questions_{chunk}.json", text)
    examples = read(root, "train_all")
    assert [example.id for example in examples] == [
        f"{chunk:02d}{number}" for chunk in range(11) for number in range(2)
    ]
    write_json(folder / "train_all_questions_11.json", {"000": record("Is it?", "1", "yes")})
    with pytest.raises(DataError, match=r"train_all_questions_11\.json: question 000 occurs twice; remove"):
        read(root, "train_all")
    for file in folder.iterdir():
        file.unlink()
    with pytest.raises(DataError, match=r"train_all_questions: the folder holds no \.json file; unpack"):
        read(root, "train_all")


def test_template_of_the_images(root: Path) -> None:
    examples = read(root, "mine", SplitConfig(VAL, images="pictures/{image_id}.png"))
    assert examples[0].images == (root / "pictures/2354786.png",)
    for template in ("{number}.jpg", "images/picture.jpg", "{image_id:012d}.jpg"):
        with pytest.raises(DataError, match=r"data\.splits\.mine\.images: '.*(placeholders|same image)"):
            read(root, "mine", SplitConfig(VAL, images=template))


def test_records_for_the_metric(root: Path) -> None:
    records = read(root).official.records()
    assert list(records) == list(content())
    assert records["02930160"] == {"isBalanced": False, "answer": "no"}
    predictions = {question_id: "yes" for question_id in records}
    small, whole = evaluate(records, predictions), evaluate(content(), predictions)
    assert small == whole and small["consistency"] == 0.0 and small["accuracy"] == pytest.approx(100 / 3)


def test_choices_for_the_metric(root: Path) -> None:
    choices = {question_id: {"valid": ["yes", "no"], "plausible": ["no"]} for question_id in [*content(), "9"]}
    write_json(root / "val_choices.json", choices)
    examples = read(root, "mine", SplitConfig(VAL, "val_choices.json"))
    found = examples.official.choices(content().keys())
    assert found == {question_id: choices[question_id] for question_id in content()}
    result = evaluate(examples.official.records(), {question_id: "yes" for question_id in choices}, found)
    assert (result["validity"], result["plausibility"]) == (100.0, 0.0)
    assert read(root).official.choices(content().keys()) is None
    edit_json(root / "val_choices.json", lambda content: content[SKY].pop("plausible"))
    with pytest.raises(DataError, match=rf"val_choices\.json: question {SKY}: has no key 'plausible'.*compare"):
        examples.official.choices(content().keys())


def test_through_the_configuration(root: Path) -> None:
    data = DataConfig(name="gqa", root=str(root), train="val_balanced", test="val_balanced")
    assert missing_sentences(data) == []
    assert len(read_splits(data)["val_balanced"]) == 4
    own = SplitConfig(VAL, "val_choices.json")
    (sentence,) = missing_sentences(
        DataConfig(name="gqa", root=str(root), train="mine", test="mine", splits={"mine": own})
    )
    assert (
        "val_choices.json is missing (data.splits.mine.annotations)" in sentence
        and "--file val_choices.json" in sentence
    )


def test_a_missing_file_is_reported_with_its_command(tmp_path: Path) -> None:
    data = DataConfig(name="gqa", root=str(tmp_path), train="train_all", test="testdev_balanced")
    sentences = missing_sentences(data)
    names = [Path(sentence.partition(" is missing")[0]).name for sentence in sentences]
    assert names == ["train_all_questions", "images", "testdev_balanced_questions.json"]
    assert sentences[0].endswith("--only annotations") and sentences[1].endswith(f"data fetch gqa --root {tmp_path}")
    with pytest.raises(DataError, match=r"val_balanced_questions\.json is missing .*data fetch gqa"):
        next(read_split(tmp_path, "val_balanced", DEFAULT_SPLITS["val_balanced"]))
    with pytest.raises(DataError, match=r"data\.splits\.mine\.questions: is empty"):
        next(read_split(tmp_path, "mine", SplitConfig()))


def count_right(examples: StoredExamples) -> int:
    """Reads every example, like a worker."""
    return sum(example.labels == {example.answer: 1.0} for example in examples)


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_in_a_worker_process(root: Path, start: str) -> None:
    examples = read(root)
    with get_context(start).Pool(1) as pool:
        assert pool.apply(count_right, (examples,)) == 4
    assert pickle.loads(pickle.dumps(examples))[1] == examples[1]


def test_a_question_takes_a_hundred_bytes(tmp_path: Path) -> None:
    """As Python objects it would take over a thousand bytes, and every worker would copy them."""
    questions = {
        f"{number:08d}": record(f"Is thing number {number} on the left?", str(number // 10), "yes")
        for number in range(2_000)
    }
    write_json(tmp_path / VAL, questions)
    assert len(pickle.dumps(read(tmp_path))) < 2_000 * 100


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_truncated_json(root: Path, share: float) -> None:
    text = (root / VAL).read_text()
    cut = text[: int(share * len(text))]
    (root / VAL).write_text(cut)
    with pytest.raises(DataError, match=rf"{VAL}: the JSON breaks off .* fetch it again"):
        read(root)


def on_sky(change: Callable[[dict[str, Any]], object]) -> Callable[[Any], object]:
    """A change of the first record."""
    return lambda content: change(content[SKY])


BROKEN: dict[str, tuple[Callable[[Any], object], str]] = {
    "no question": (on_sky(lambda record: record.pop("question")), f"question {SKY}: has no key 'question'.*compare"),
    "blank question": (
        on_sky(lambda record: record.update(question=" ")),
        f"question {SKY}: 'question' must be a non-",
    ),
    "no image": (on_sky(lambda record: record.pop("imageId")), f"question {SKY}: has no key 'imageId'.*compare"),
    "number as image": (
        on_sky(lambda record: record.update(imageId=2354786)),
        f"question {SKY}: 'imageId' must be a non-empty str, not 2354786; repair",
    ),
    "blank answer": (on_sky(lambda record: record.update(answer="")), f"question {SKY}: 'answer' must be a non-empty"),
    "some without answer": (
        lambda content: content["07333408"].pop("answer"),
        "question 07333408 has no 'answer', unlike those before it; give every",
    ),
    "some with answer": (
        on_sky(lambda record: record.pop("answer")),
        "question 07333408 has an 'answer', unlike those before it; give every",
    ),
    "no structural type": (
        on_sky(lambda record: record["types"].pop("structural")),
        f"question {SKY}, types: has no key 'structural'.*compare",
    ),
    "types no object": (on_sky(lambda record: record.update(types="query")), f"question {SKY}: 'types' must be a"),
    "no record": (lambda content: content.update({SKY: ["hello"]}), f"question {SKY} is no JSON object.*repair"),
    "empty": (lambda content: content.clear(), "there is no question; fetch"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_invalid_file(root: Path, case: str) -> None:
    change, expected = BROKEN[case]
    edit_json(root / VAL, change)
    with pytest.raises(DataError, match=rf"{VAL}: {expected}"):
        read(root)


def test_records_say_whether_they_are_balanced(root: Path) -> None:
    edit_json(root / VAL, on_sky(lambda record: record.pop("isBalanced")))
    with pytest.raises(DataError, match=rf"{VAL}: question {SKY}: has no key 'isBalanced'.*compare"):
        read(root).official.records()


def test_a_duplicate_question(root: Path) -> None:
    text = (root / VAL).read_text()
    (root / VAL).write_text(text.replace('"07333408": {', f'"{SKY}": {{'))
    with pytest.raises(DataError, match=rf"{VAL}: question {SKY} occurs twice; remove"):
        read(root)
