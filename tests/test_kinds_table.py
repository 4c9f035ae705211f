"""docs/kinds.md is what trying gives."""

from __future__ import annotations

import pytest

from tests.command_line import REPOSITORY
from tests.kinds_table import SETTINGS, page, try_all
from vlrouting.config import KINDS

pytestmark = pytest.mark.slow


def test_the_page_is_what_trying_gives() -> None:
    assert page(try_all()) == (REPOSITORY / "docs" / "kinds.md").read_text(encoding="utf-8")


def test_every_built_in_kind_is_tried() -> None:
    tried = {setting.keys["kind"] for setting in SETTINGS.values()}
    assert tried == {kind for kind in KINDS if KINDS.facts(kind).__module__.startswith("vlrouting.")}
