"""The report in Chromium: what a reader does with it, on a desktop and on a phone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.documents.conftest import Opened
from tests.documents.made_up_studies import (
    HOSTILE,
    predictions,
    write_caption_study,
    write_pairs_study,
    write_vqa_study,
)
from vlrouting.experiment import RunDirectory
from vlrouting.report.html import report_runs

pytestmark = [pytest.mark.documents, pytest.mark.slow]
PHONE = {"viewport": {"width": 400, "height": 800}, "is_mobile": True, "has_touch": True}
Open = Callable[..., Opened]
STUDIES = ("demo_vqa_study", "demo_caption_study")
"""Experiments of the repository; their reports are opened where they were made."""


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Kind of study -> its report."""
    runs = tmp_path_factory.mktemp("runs")
    studies = {"vqa": write_vqa_study(runs), "captions": write_caption_study(runs), "pairs": write_pairs_study(runs)}
    made = {name: Path(__file__).parents[2] / "runs" / name / "report.html" for name in STUDIES}
    found = {name: page for name, page in made.items() if page.is_file()}
    return found | {kind: report_runs([folder])[0] for kind, folder in studies.items()}


def column(page: Any, heading: str) -> list[str]:
    """What the cells of the table of variants show first, from top to bottom."""
    found: list[str] = page.evaluate(
        """heading => {
            const table = document.querySelector("table.variants");
            const names = [...table.tHead.rows[0].cells].map(cell => cell.innerText.trim());
            const place = names.indexOf(heading);
            return [...table.tBodies[0].rows].map(row => {
                const cell = row.cells[place].cloneNode(true);
                cell.querySelector("small")?.remove();
                return cell.textContent.trim();
            });
        }""",
        heading,
    )
    return found


def cards(page: Any) -> list[str]:
    """The ids of the examples on all pages, in order; every page's images are checked."""
    found: list[str] = []
    while True:
        found += [text.split(" · ")[0].removeprefix("id ") for text in page.locator("#cards .id").all_inner_texts()]
        images_are_loaded(page)
        if page.locator("#next").is_disabled():
            break
        page.locator("#next").click()
    return found


def choose(page: Any, label: str, option: str) -> None:
    page.get_by_role("combobox", name=label, exact=True).select_option(option)


def images_are_loaded(page: Any) -> None:
    page.wait_for_function("[...document.images].every(image => image.complete)")
    assert page.evaluate("[...document.images].every(image => image.naturalWidth > 0)")
    assert page.locator(".pictures > *").count() == page.evaluate("document.images.length")


@pytest.mark.parametrize("kind", ["vqa", "captions", "pairs", *STUDIES])
@pytest.mark.parametrize("device", [{}, PHONE], ids=["desktop", "phone"])
def test_nothing_is_requested_and_nothing_overflows(
    reports: dict[str, Path], open_file: Open, kind: str, device: dict[str, Any]
) -> None:
    if kind not in reports:
        pytest.skip(f"make train EXP={kind} and make report EXP={kind} come before")
    opened = open_file(reports[kind], **device)
    assert cards(opened.page)
    width = opened.page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    assert width[0] <= width[1] == device.get("viewport", {"width": 1280})["width"]
    assert opened.errors == []
    assert [url for url in opened.requests if not url.startswith("data:")] == []
    assert reports[kind].stat().st_size < 15_000_000
    # Every figure has a name, every image a text, every control a label.
    assert opened.page.locator("figure svg:not([aria-label])").count() == 0
    assert opened.page.locator("img:not([alt]), img[alt='']").count() == 0
    unlabelled = "[...document.querySelectorAll('input, select')].filter(field => !field.labels.length).length"
    assert opened.page.evaluate(unlabelled) == 0
    identities = opened.page.evaluate("[...document.querySelectorAll('[id]')].map(element => element.id)")
    assert len(identities) == len(set(identities))


def test_the_page_may_request_nothing(reports: dict[str, Path], open_file: Open) -> None:
    opened = open_file(reports["vqa"])
    refused = "url => fetch(url).then(() => false, () => true)"
    assert opened.page.evaluate(refused, "https://example.org/")
    opened.page.evaluate("() => { const script = document.createElement('script'); script.text = 'window.hacked = 1';"
                         "document.body.append(script); }")  # fmt: skip
    assert opened.page.evaluate("window.hacked") is None
    assert opened.errors and all("Content Security Policy" in error for error in opened.errors)
    assert opened.requests == []


def test_the_table_sorts_numbers_by_value_and_keeps_empty_cells_last(reports: dict[str, Path], open_file: Open) -> None:
    page = open_file(reports["vqa"]).page
    heading = page.get_by_role("button", name="VQA accuracy")
    heading.focus()
    page.keyboard.press("Enter")  # as one who has no mouse
    falling = column(page, "VQA accuracy")
    numbers = [float(text) for text in falling if text]
    assert numbers == sorted(numbers, reverse=True) and len(set(numbers)) == 3
    assert falling[-1] == "" and column(page, "variant")[-1] == "broken"
    assert page.locator("th[aria-sort=descending]").inner_text().strip() == "VQA accuracy"
    heading.click()
    assert [text for text in column(page, "VQA accuracy") if text] == [f"{n:.2f}" for n in sorted(numbers)]
    assert column(page, "variant")[-1] == "broken"
    page.get_by_role("button", name="trainable parameters").click()
    assert column(page, "trainable parameters") == ["3,300", "2,900", "2,500", ""]
    page.get_by_role("button", name="variant").click()
    assert column(page, "variant") == ["broken", "routing=add", "routing=mul", "routing=none"]


def test_every_filter_of_answers(reports: dict[str, Path], open_file: Open) -> None:
    page = open_file(reports["vqa"]).page
    folder = reports["vqa"].parent
    of = {name: predictions(RunDirectory(folder / f"routing={name},seed=0")) for name in ("add", "mul", "none")}
    right = {name: {str(r["id"]) for r in records if r["score"] >= 50} for name, records in of.items()}
    every = {str(record["id"]) for record in of["add"]}
    kinds = {str(record["id"]): record["answer_type"] for record in of["add"]}
    assert set(cards(page)) == every
    choose(page, "Variant", "routing=mul")
    choose(page, "Result", "right")
    assert set(cards(page)) == right["mul"]
    choose(page, "Result", "wrong")
    assert set(cards(page)) == every - right["mul"]
    choose(page, "Agreement", "some right, some wrong")
    split = set.union(*right.values()) - set.intersection(*right.values())
    assert set(cards(page)) == split - right["mul"]
    page.get_by_role("button", name="Reset").click()
    choose(page, "Agreement", "outputs agree")
    assert set(cards(page)) == every - split  # a wrong answer is always "purple" here
    choose(page, "Answer type", "other")
    assert set(cards(page)) == {identity for identity in every - split if kinds[identity] == "other"}
    page.get_by_role("button", name="Reset").click()
    page.get_by_label("Text", exact=True).fill("SQUARE")
    assert set(cards(page)) == {str(r["id"]) for r in of["add"] if "square" in r["question"]}
    assert page.locator("#count").inner_text().startswith("20 of 60")
    page.get_by_label("Text", exact=True).fill("nothing has this")
    assert page.locator("#cards .card").count() == 0 and page.locator("#count").inner_text().startswith("0 of 60")


def test_order_and_disagreement_of_captions(reports: dict[str, Path], open_file: Open) -> None:
    page = open_file(reports["captions"]).page
    assert page.get_by_role("combobox", name="Result").count() == 0  # a caption is neither right nor wrong
    every = cards(page)
    choose(page, "Order", "lowest scores first")
    assert cards(page) == every
    choose(page, "Order", "highest scores first")
    assert cards(page) == every[::-1]
    choose(page, "Order", "test set")
    choose(page, "Agreement", "outputs differ")
    assert cards(page) == [str(number) for number in range(3, 20, 3)]


@pytest.mark.parametrize("kind", ["vqa", "captions"])
def test_texts_of_others_stay_texts(reports: dict[str, Path], open_file: Open, kind: str) -> None:
    opened = open_file(reports[kind])
    opened.page.get_by_label("Text", exact=True).fill("<script>alert(1)")
    card = opened.page.locator("#cards .card")
    assert card.count() == 1
    shown = card.locator(".question" if kind == "vqa" else ".references li").inner_text()
    assert shown.split() == HOSTILE.split()
    assert opened.page.locator("script").count() == 2 and opened.errors == []
    assert opened.page.locator("img[src=x]").count() == 0
    if kind == "vqa":
        assert "<script>alert(1)</script>" in opened.page.locator("#table li").inner_text()


def test_dark_mode_is_dark_and_legible(reports: dict[str, Path], open_file: Open) -> None:
    light, dark = (open_file(reports["vqa"], color_scheme=scheme).page for scheme in ("light", "dark"))
    colors = """() => [getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color,
        getComputedStyle(document.querySelector("figure svg text")).fill]"""

    def brightness(color: str) -> float:
        red, green, blue = (int(part) for part in color.strip("rgb()").split(","))
        return (0.2126 * red + 0.7152 * green + 0.0722 * blue) / 255

    assert [round(brightness(color)) for color in light.evaluate(colors)] == [1, 0, 0]
    assert [round(brightness(color)) for color in dark.evaluate(colors)] == [0, 1, 1]


def test_it_prints(reports: dict[str, Path], open_file: Open) -> None:
    page = open_file(reports["vqa"]).page
    page.emulate_media(media="print")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert page.locator("#filters").is_hidden() and page.locator("details:not([open])").count() == 0
    assert page.pdf(format="A4").startswith(b"%PDF")
