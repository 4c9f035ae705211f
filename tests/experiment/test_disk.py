"""What is said of a disk that only the user can mend."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from vlrouting.experiment.disk import disk_error_text, is_lasting, mount_point


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_a_quota_and_a_limit_name_the_disk(tmp_path: Path, number: int) -> None:
    file = tmp_path / "runs" / "a.ckpt"  # its folder may be gone
    error = OSError(number, os.strerror(number), str(file))
    text = disk_error_text(error, [])
    assert is_lasting(error) and f"df -h {mount_point(tmp_path)}" in text and str(file) in text
    assert str(mount_point(tmp_path)) in disk_error_text(OSError(number, os.strerror(number)), [tmp_path])


def test_a_network_disk_that_does_not_answer_may_do_so_the_next_time() -> None:
    assert not is_lasting(OSError(errno.EIO, os.strerror(errno.EIO)))
