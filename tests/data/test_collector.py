"""The garbage collector is paused, and comes back however the block ends."""

from __future__ import annotations

import gc

import pytest

from vlrouting.data.collector import paused_collector


def test_it_comes_back() -> None:
    with pytest.raises(ZeroDivisionError), paused_collector():
        assert not gc.isenabled()
        raise ZeroDivisionError
    assert gc.isenabled()


def test_one_that_was_off_stays_off() -> None:
    gc.disable()
    try:
        with paused_collector():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
