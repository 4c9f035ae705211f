"""The list of mutations stays usable while the code changes."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tools.mutants import tests_of as nearest_tests  # not a test itself
from tools.mutations import MUTATIONS, Mutation

REPOSITORY = Path(__file__).parents[2]


def test_every_mutation_changes_one_place_and_leaves_valid_code() -> None:
    wrong = []
    for mutation in MUTATIONS:
        source = (REPOSITORY / mutation.path).read_text(encoding="utf-8")
        try:
            changed = mutation.applied_to(source)
            assert ast.dump(ast.parse(changed)) != ast.dump(ast.parse(source))
        except (ValueError, SyntaxError, AssertionError) as error:
            wrong.append(f"{mutation.path}: {mutation.old!r}: {type(error).__name__}: {error}")
    assert not wrong, "\n".join(wrong)
    assert len({(mutation.path, mutation.old, mutation.new) for mutation in MUTATIONS}) == len(MUTATIONS) >= 150


@pytest.mark.parametrize("content", ["x = 1\n", "x = 2; y = 2\n"])
def test_a_text_that_is_not_there_once_names_the_mutation(content: str) -> None:
    with pytest.raises(ValueError, match=r"a\.py: found \d times, not once: '2' \(two\)"):
        Mutation("a.py", "2", "3", "two").applied_to(content)


def test_every_mutated_file_has_tests_that_are_run_first() -> None:
    for path in {mutation.path for mutation in MUTATIONS}:
        stages = nearest_tests(path)
        assert stages, path
        assert all((REPOSITORY / test).exists() for stage in stages for test in stage)
    assert nearest_tests("vlrouting/models/decoder.py")[0] == ["tests/models/test_decoder.py"]
