"""Takes pictures of a report in Chromium (tests/documents/install.sh installs it), for docs/.

python -m tools.screenshot runs/demo_vqa_study/report.html docs/report.png
python -m tools.screenshot runs/demo_vqa_study/report.html docs/report_phone.png --width 400 --dark --from '#examples'
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path


def take(page: Path, picture: Path, *, width: int, height: int, dark: bool, start: str) -> None:
    """Write a PNG file of a window of this size, which begins at the element `start`, a CSS selector."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        size, scheme = {"width": width, "height": height}, "dark" if dark else "light"
        context = browser.new_context(viewport=size, color_scheme=scheme, device_scale_factor=1.5)  # type: ignore[arg-type]
        opened = context.new_page()
        opened.goto(page.resolve().as_uri())
        opened.locator(start).first.evaluate("element => element.scrollIntoView({behavior: 'instant'})")
        opened.screenshot(path=picture)
        browser.close()


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--width", type=int, default=1200)
    parser.add_argument("--height", type=int, default=1100)
    parser.add_argument("--dark", action="store_true")
    parser.add_argument("--from", dest="start", default="body", help="CSS selector of what is on top")
    given = parser.parse_args()
    take(given.page, given.picture, width=given.width, height=given.height, dark=given.dark, start=given.start)


if __name__ == "__main__":
    main()
