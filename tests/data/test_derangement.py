"""Swapped images: nobody keeps their own, everybody's is used once, and a seed decides."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vlrouting.data.derangement import derangement, partners


@settings(derandomize=True, max_examples=50)
@given(n=st.integers(2, 60), seed=st.integers(0, 2**32))
def test_a_permutation_without_a_fixed_point_that_the_seed_decides(n: int, seed: int) -> None:
    found = derangement(n, seed)

    assert sorted(found) == list(range(n))
    assert all(other != number for number, other in enumerate(found))
    assert found == derangement(n, seed)


def test_each_other_one_is_equally_probable() -> None:
    counts = Counter(derangement(5, seed)[0] for seed in range(4000))

    assert counts.keys() == {1, 2, 3, 4}
    assert all(abs(count - 1000) < 120 for count in counts.values())  # 4.4 standard deviations


def test_the_sequence_of_a_seed_stays_what_it_is() -> None:
    assert derangement(6, 0) == [3, 0, 4, 5, 1, 2]


def test_none_are_swapped_among_none_and_one_cannot_be() -> None:
    assert derangement(0, 1) == []
    with pytest.raises(ValueError, match="another"):
        derangement(1, 1)


@settings(derandomize=True, max_examples=50)
@given(images=st.lists(st.sampled_from("abcdefg"), max_size=30), seed=st.integers(0, 2**32))
def test_examples_of_one_image_all_get_the_same_other_one(images: list[str], seed: int) -> None:
    if len(set(images)) == 1:
        with pytest.raises(ValueError, match="another"):
            partners(images, seed)
        return

    found = partners(images, seed)

    assert found.keys() == set(found.values()) == set(images)
    assert all(image != other for image, other in found.items())
