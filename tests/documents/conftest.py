"""A browser that opens files, and counts what else it would request."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium")


@dataclass
class Opened:
    """A page, and what happened in it."""

    page: Any
    requests: list[str] = field(default_factory=list)
    """Addresses other than the file itself and images inside it."""
    errors: list[str] = field(default_factory=list)
    """Of the console and of scripts."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium; a test is skipped where it is not installed."""
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed: tests/documents/install.sh installs it")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def open_file(browser: Any) -> Iterator[Callable[..., Opened]]:
    """Opens a file in a window of its own; options are those of playwright's `new_context`."""
    contexts = []

    def opening(path: Path, **options: Any) -> Opened:
        context = browser.new_context(**options)
        contexts.append(context)
        opened = Opened(context.new_page())
        opened.page.on("console", lambda m: opened.errors.append(m.text) if m.type in ("error", "warning") else None)
        opened.page.on("pageerror", lambda error: opened.errors.append(str(error)))
        opened.page.on("dialog", lambda dialog: (opened.errors.append(f"dialog {dialog.message}"), dialog.dismiss()))

        def handle(route: Any) -> None:
            if route.request.url == path.as_uri():
                route.continue_()
            else:
                opened.requests.append(route.request.url)
                route.abort()

        context.route("**/*", handle)
        opened.page.goto(path.as_uri())
        return opened

    yield opening
    for context in contexts:
        context.close()
