"""VQAv2 and GQA questions: the evaluator confirms every answer, and the text alone does not predict it."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from tools.shapes_evaluator.evaluator import answer_is_true, full_answer_is_true, true_answer
from tools.shapes_evaluator.meaning import NotUnderstood
from vlrouting.shapes import gqa_files, vqa_questions
from vlrouting.shapes.scene import COLORS, SHAPES, SIZES, Scene, Thing, random_scene

Programs = list[tuple[Scene, dict[str, dict[str, Any]]]]


@pytest.fixture(scope="module")
def asked() -> list[tuple[Scene, list[dict[str, Any]], list[dict[str, Any]]]]:
    random = Random(0)
    scenes = [random_scene(random, None) for _ in range(600)]
    return [(scene, *vqa_questions.records(scene, number, random)) for number, scene in enumerate(scenes)]


@pytest.fixture(scope="module")
def programs() -> Programs:
    random = Random(1)
    found: Programs = []
    for number in range(1, 401):
        scene = random_scene(random, None)
        found.append((scene, {key: record for key, record, _ in gqa_files.records(scene, number, random)}))
    return found


def test_every_answer_is_correct_and_another_is_wrong(asked: Any) -> None:
    for scene, questions, annotated in asked:
        assert len(questions) == len({question["question"] for question in questions}) == 4
        for question, annotation in zip(questions, annotated, strict=True):
            text, answer = question["question"], annotation["multiple_choice_answer"]
            assert answer_is_true(text, answer, scene), (text, answer, scene)
            others = {record["answer"] for record in annotation["answers"]} - {answer}
            assert not any(answer_is_true(text, other, scene) for other in others)


def test_most_of_the_ten_annotators_agree(asked: Any) -> None:
    agreeing: Counter[int] = Counter()
    for _, _, annotated in asked:
        for annotation in annotated:
            answers = [record["answer"] for record in annotation["answers"]]
            assert [record["answer_id"] for record in annotation["answers"]] == list(range(1, 11))
            assert {record["answer_confidence"] for record in annotation["answers"]} <= {"yes", "maybe", "no"}
            (most, count), *_ = Counter(answers).most_common()
            assert most == annotation["multiple_choice_answer"]
            agreeing[count] += 1
            answer_type = "yes/no" if most in ("yes", "no") else "number" if most.isdigit() else "other"
            assert annotation["answer_type"] == answer_type
    assert set(agreeing) == {7, 8, 9, 10}


def test_question_types_are_first_words(asked: Any) -> None:
    types = set()
    for _, questions, annotated in asked:
        for question, annotation in zip(questions, annotated, strict=True):
            assert question["question"].lower().startswith(annotation["question_type"])
            types.add(annotation["question_type"])
    assert types == set(vqa_questions.QUESTION_TYPES)


def test_vqa_answers_are_balanced(asked: Any) -> None:
    by_type: dict[str, Counter[str]] = defaultdict(Counter)
    for _, _, annotated in asked:
        for annotation in annotated:
            by_type[annotation["question_type"]][annotation["multiple_choice_answer"]] += 1
    for name in ("is there", "is the", "are there more"):
        assert 0.4 < by_type[name]["yes"] / (by_type[name]["yes"] + by_type[name]["no"]) < 0.6, name
    colors = by_type["what color is the"]
    assert set(colors) == set(COLORS) and max(colors.values()) < 2 * min(colors.values())
    assert set(by_type["how many"]) >= {"0", "1", "2", "3", "4"}
    assert max(by_type["how many"].values()) < 0.5 * sum(by_type["how many"].values())


def test_scenes_without_held_out_combinations_have_no_questions_about_them() -> None:
    random = Random(2)
    for number in range(300):
        scene = random_scene(random, False)
        texts = [question for question, _ in vqa_questions.ask(scene, random)]
        texts += [record["question"] for _, record, _ in gqa_files.records(scene, number, random)]
        for text in texts:
            assert not re.search("red triangle|green star|blue cross|yellow square|purple circle", text)
            assert not re.search(r"the (small |large )?triangle red|the (small |large )?star green", text)


def test_there_are_questions_about_identical_things() -> None:
    """None of them has a unique description."""
    thing = Thing("red", "circle", "small", 0, 0, 0.0, 0.0)
    scene = Scene((thing, replace(thing, column=1), replace(thing, column=2), replace(thing, row=2)))
    for seed in range(20):
        for text, answer in vqa_questions.ask(scene, Random(seed)):
            assert answer_is_true(text, answer, scene)
        records = gqa_files.records(scene, 1, Random(seed))
        assert sum(record["isBalanced"] for _, record, _ in records) == 5


def test_every_gqa_answer_and_full_answer_is_correct(programs: Programs) -> None:
    structural = set()
    for scene, records in programs:
        for record in records.values():
            text, answer = record["question"], record["answer"]
            assert answer_is_true(text, answer, scene), (text, answer, scene)
            assert full_answer_is_true(record["fullAnswer"], scene), (record["fullAnswer"], scene)
            start = record["fullAnswer"].split(",")[0].lower()
            assert start == answer or not {start, answer} & {"yes", "no"}
            structural.add(record["types"]["structural"])
    assert structural == {"query", "verify", "logical", "choose", "compare"}


def test_false_full_answers_are_detected(programs: Programs) -> None:
    false_answers = 0
    for scene, records in programs:
        for record in records.values():
            text = record["fullAnswer"]
            for word, lie in (
                ("is not", "is"),
                ("there is no", "there is a"),
                ("have the same", "have different"),
                ("left", "right"),
            ):
                changed = text.replace(word, lie)
                if changed != text and not (word == "left" and "not" in text):
                    assert not full_answer_is_true(changed, scene), changed
                    false_answers += 1
    assert false_answers > 300


def test_balanced_answers(programs: Programs) -> None:
    by_type: dict[str, Counter[str]] = defaultdict(Counter)
    for _, records in programs:
        assert sum(record["isBalanced"] for record in records.values()) == 5
        for record in records.values():
            if record["isBalanced"]:
                by_type[record["types"]["structural"]][record["answer"]] += 1
    for name in ("verify", "logical"):
        assert 0.4 < by_type[name]["yes"] / sum(by_type[name].values()) < 0.6
    colors = [by_type["query"][color] for color in COLORS]
    assert max(colors) < 2 * min(colors)


def test_records_have_the_official_form(programs: Programs) -> None:
    for scene, records in programs:
        for key, record in records.items():
            assert re.fullmatch(r"\d{8}", key) and record["imageId"] == str(int(key) // 100)
            steps = record["semantic"]
            for number, step in enumerate(steps):
                assert set(step) == {"operation", "dependencies", "argument"}
                assert all(0 <= earlier < number for earlier in step["dependencies"])
                assert (step["operation"] == "select") == (not step["dependencies"])
            used = {earlier for step in steps for earlier in step["dependencies"]}
            assert used == set(range(len(steps) - 1))  # every result is used, the last is the answer
            assert record["semanticStr"] == "->".join(
                f"{step['operation']}: {step['argument']}"
                + (f" {step['dependencies']}" if step["dependencies"] else "")
                for step in steps
            )
            assert key in record["equivalent"] and key not in record["entailed"]
            assert set(record["equivalent"]) | set(record["entailed"]) <= set(records)
            assert set(record["types"]) == {"detailed", "semantic", "structural"}
            assert record["types"]["semantic"] in ("obj", "attr", "cat", "rel")
            assert (record["groups"]["global"] is not None) == (record["types"]["structural"] == "query")
            _check_places(record, scene)


def _check_places(record: dict[str, Any], scene: Scene) -> None:
    """Every annotated word is the noun of the thing with the annotated id."""
    for text, places in (
        (record["question"], record["annotations"]["question"]),
        (record["fullAnswer"], record["annotations"]["fullAnswer"]),
    ):
        for place, object_id in places.items():
            thing = scene.things[int(object_id) - int(record["imageId"]) * 10]
            assert re.sub("[?.,]", "", text.lower().split()[int(place)]) in (thing.shape, "shape")


def test_programs_compute_the_answer(programs: Programs) -> None:
    """A program selects and filters the objects that its ids name."""
    for scene, records in programs:
        for record in records.values():
            found: list[list[Thing]] = []
            for step in record["semantic"]:
                argument = step["argument"]
                if step["operation"] == "select":
                    noun, ids = re.fullmatch(r"(\w+) \(([-\d,]+)\)", argument).groups()
                    found.append([thing for thing in scene.things if noun in (thing.shape, "shape")])
                    named = (
                        []
                        if ids == "-"
                        else [scene.things[int(i) - 10 * int(record["imageId"])] for i in ids.split(",")]
                    )
                    assert set(named) <= set(found[-1])
                elif step["operation"].startswith("filter"):
                    attribute = step["operation"].split()[1]
                    earlier = found[step["dependencies"][0]]
                    found.append([thing for thing in earlier if getattr(thing, attribute) == argument])
                elif step["operation"] == "query" and argument != "name":
                    assert [getattr(thing, argument) for thing in found[step["dependencies"][0]]] == [record["answer"]]
                    found.append([])
                elif step["operation"] == "exist" and step is record["semantic"][-1]:
                    assert bool(found[step["dependencies"][0]]) == (record["answer"] == "yes")
                else:
                    found.append([])


def test_entailed_answers_are_implied(programs: Programs) -> None:
    """In changed scenes: where a question keeps its answer, so do the questions that it entails."""
    random = Random(3)
    tried = entailing = 0
    for scene, records in programs[:150]:
        changed = [_changed(scene, random) for _ in range(30)]
        for record in records.values():
            entailing += bool(record["entailed"])
            alike = [other for other in changed if _answer(record["question"], other) == record["answer"]]
            for other in alike:
                for key in record["entailed"]:
                    answer = _answer(records[key]["question"], other)
                    assert answer in (records[key]["answer"], None), (record["question"], records[key]["question"])
                    tried += answer is not None and other != scene
    assert tried > 5000 and entailing > 500


def _answer(question: str, scene: Scene) -> str | None:
    try:
        return true_answer(question, scene)
    except NotUnderstood:
        return None


def _changed(scene: Scene, random: Random) -> Scene:
    """Changes the look of one thing, or the cells of all."""
    things = list(scene.things)
    chosen = random.randrange(len(things))
    name, values = random.choice([("color", list(COLORS)), ("shape", SHAPES), ("size", SIZES), ("cell", [])])
    if name != "cell":
        things[chosen] = replace(things[chosen], **{name: random.choice(values)})
        return Scene(tuple(things))
    order = random.sample(things, len(things))
    cells = sorted(random.sample(range(9), len(things)))
    return Scene(tuple(replace(t, row=c // 3, column=c % 3) for t, c in zip(order, cells, strict=True)))


def test_choices_contain_the_answer() -> None:
    random = Random(4)
    for number in range(100):
        for _, record, choices in gqa_files.records(random_scene(random, None), number, random):
            assert set(choices) == {"valid", "plausible"} and record["answer"] in choices["plausible"]
            assert set(choices["plausible"]) <= set(choices["valid"])
            if record["types"]["structural"] in ("verify", "logical"):
                assert choices["valid"] == ["yes", "no"]
            if record["types"]["structural"] == "choose":
                assert len(choices["valid"]) == 2


SCENE = Scene((Thing("red", "circle", "large", 0, 0, 0.0, 0.0), Thing("blue", "square", "large", 1, 1, 0.0, 0.0)))


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("What color is the circle?", "red"),
        ("What is in the center?", "square"),
        ("Where is the circle?", "top left"),
        ("Is the circle above the square?", "yes"),
        ("Is the square to the left of the circle?", "no"),
        ("How many large shapes are there?", "2"),
        ("How many stars are in the picture?", "0"),
        ("What do the circle and the square have in common?", "size"),
        ("Is the circle red or green?", "red"),
        ("Are there both circles and stars?", "no"),
        ("Is the square on the left side of the picture?", "no"),
    ],
)
def test_hand_written_questions(question: str, answer: str) -> None:
    assert true_answer(question, SCENE) == answer


@pytest.mark.parametrize(
    "question",
    [
        "What color is the star?",  # there is none
        "What color is the large shape?",  # there are two
        "What is in the top right?",
        "Is the circle blue or green?",
        "Why is the sky blue?",
    ],
)
def test_questions_without_a_unique_answer_are_rejected(question: str) -> None:
    with pytest.raises(NotUnderstood):
        true_answer(question, SCENE)
