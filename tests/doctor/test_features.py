"""The feature cache: there, to be computed, damaged, not to be written."""

from __future__ import annotations

import json
from pathlib import Path

from tests.doctor.checking import experiment_in, findings_of, only_problem, problems
from vlrouting.doctor import Finding
from vlrouting.training.inputs import SharedInputs


def _features(findings: list[Finding]) -> str:
    (finding,) = [finding for finding in findings if finding.looked_at == "features"]
    return finding.found


def _computed(folder: Path) -> Path:
    """The folder of the experiment's features, which are computed."""
    import torch

    config = experiment_in(folder).points[0].config
    inputs = SharedInputs(torch.device("cpu"))
    inputs.visuals(config, {config.data.name: inputs.examples(config.data, images=True)})
    (index,) = (folder / "data" / "features").glob("*/index.json")
    return index.parent


def test_to_be_computed_and_there(tiny: Path) -> None:
    said = _features(findings_of(tiny))
    assert "48 images will be computed" in said and "about 36 KiB" in said  # 48 x 192 x 4 bytes
    cache = _computed(tiny)
    assert (cache / "features.npy").stat().st_size - 36 * 1024 < 1024
    findings = findings_of(tiny)
    assert problems(findings) == [] and f"48 images are in {cache}" in _features(findings)
    fewer = ("data.validation=null", "data.test=train2014")
    assert "24 images will be computed" in _features(findings_of(tiny, *fewer))


def test_damaged(tiny: Path) -> None:
    cache = _computed(tiny)
    array, index = cache / "features.npy", cache / "index.json"
    whole = array.read_bytes()
    array.write_bytes(whole[:-100])
    only_problem(findings_of(tiny), "fault", "features", "features.npy cannot be read", f"rm -r '{cache}'")
    flipped = bytearray(whole)
    flipped[-1000] ^= 4
    array.write_bytes(flipped)
    only_problem(findings_of(tiny), "fault", "features", "not what was computed", f"rm -r '{cache}'")
    array.write_bytes(whole)
    assert problems(findings_of(tiny)) == []
    index.write_text(json.dumps(json.loads(index.read_text()))[:-5])
    only_problem(findings_of(tiny), "fault", "features", "index.json cannot be read", f"rm -r '{cache}'")


def test_a_folder_that_takes_no_files(tiny: Path) -> None:
    place = "/proc/vlrouting"
    only_problem(findings_of(tiny, f"vision.cache_dir={place}"), "fault", "features", place, "set vision.cache_dir")


def test_nothing_is_cached(tiny: Path) -> None:
    for override in ("vision.cache=false", "model.visual_input=noise"):
        assert not [finding for finding in findings_of(tiny, override) if finding.looked_at == "features"]
