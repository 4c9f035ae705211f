"""An evenly spaced subset of a split."""

import pickle

import pytest

from vlrouting.data.datasets.evenly_spaced import EvenlySpaced
from vlrouting.data.example import Example

WHOLE = [Example(number, (), "", {}) for number in range(10)]


@pytest.mark.parametrize(("count", "ids"), [(1, [0]), (3, [0, 3, 6]), (4, [0, 2, 5, 7]), (10, list(range(10)))])
def test_positions_are_evenly_spaced(count: int, ids: list[int]) -> None:
    part = EvenlySpaced(WHOLE, count)
    assert len(part) == count
    assert [example.id for example in part] == ids
    assert part[-1].id == ids[-1] and [example.id for example in part[1:]] == ids[1:]
    assert part.whole is WHOLE and part[0] is WHOLE[0]
    for index in (count, -count - 1):
        with pytest.raises(IndexError, match=f"no example {index} among {count}"):
            part[index]


def test_it_can_be_pickled() -> None:
    assert list(pickle.loads(pickle.dumps(EvenlySpaced(WHOLE, 4)))) == list(EvenlySpaced(WHOLE, 4))
