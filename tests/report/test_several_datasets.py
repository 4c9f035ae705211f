"""Comparisons of runs on several datasets: the mean's interval by an independent calculation, and what is beside it."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.made_up_runs import DATASETS, make_several, make_variant, tuned_rate
from vlrouting.experiment import UserError
from vlrouting.report.comparison import Comparison, Variant, compare_runs
from vlrouting.report.formats import to_csv
from vlrouting.report.rows import collect, metric_keys
from vlrouting.report.table import grids, notes

SETTINGS, TUNED = tuned_rate()
SIZES = {"vqa": 400, "gqa": 80, "nlvr2": 40}
KEYS = {name: f"test/{name}/{DATASETS[name][0]}" for name in DATASETS}
Scores = dict[str, NDArray[np.float64]]


def study(folder: Path, variants: Mapping[str, Sequence[Scores]], **options: object) -> Path:
    """Variants that differ in the routing; a list entry per seed."""
    for name, seeds in variants.items():
        settings = {**SETTINGS, "bottleneck.routing": name}
        for seed, scores in enumerate(seeds):
            point = f"routing={name},seed={seed}"
            make_several(folder, point, scores, seed=seed, settings=settings, tuned=TUNED, **options)  # type: ignore[arg-type]
    return folder


def drawn(shift: float, seed: int, sizes: Mapping[str, int] = SIZES) -> Scores:
    random = np.random.default_rng(seed)
    return {name: random.normal(50 + shift, 10 * (1 + place), size) for place, (name, size) in enumerate(sizes.items())}


def variant(found: Comparison, name: str) -> Variant:
    (one,) = [each for each in found.variants if each.name == f"routing={name}"]
    return one


def test_the_mean_of_one_dataset_is_compared_as_that_dataset_is(tmp_path: Path) -> None:
    sizes = {"vqa": 60}
    seeds = {
        name: [drawn(shift, 9 * s + len(name), sizes) for s in range(3)] for name, shift in (("none", 0), ("mul", 9))
    }
    one = compare_runs([study(tmp_path / "one", seeds)])
    clusters = [f"vqa{number // 2}.png" for number in range(60)]
    for name, of in seeds.items():
        rows = np.stack([scores["vqa"] for scores in of])
        make_variant(tmp_path / "alone", f"routing={name}", rows, settings=SETTINGS, tuned=TUNED, clusters=clusters)
    alone = compare_runs([tmp_path / "alone"])
    for name in seeds:
        assert variant(one, name).intervals["test/mean"] == variant(alone, name).intervals[alone.metric]
        assert variant(one, name).intervals[KEYS["vqa"]] == variant(alone, name).intervals[alone.metric]
    for field in ("difference", "adjusted_p", "verdict", "tied_with_best"):
        assert getattr(variant(one, "mul"), field) == getattr(variant(alone, "mul"), field) is not None
    assert (one.examples, one.clusters) == (alone.examples, alone.clusters) == (60, 30)


def by_hand(scores: Scores, clusters: Mapping[str, Sequence[str]]) -> float:
    """Standard error of the mean over datasets: sums of deviations over clusters that count 1 / (D N_d) each."""
    of_cluster: dict[str, float] = {}
    for name, of in scores.items():
        for value, cluster in zip((of - of.mean()) / (len(scores) * len(of)), clusters[name], strict=True):
            of_cluster[cluster] = of_cluster.get(cluster, 0.0) + float(value)
    return float(np.sqrt(sum(value**2 for value in of_cluster.values())))


def test_the_interval_of_the_mean_by_an_independent_calculation(tmp_path: Path) -> None:
    none, mul = drawn(0, 1), drawn(3, 2)
    found = compare_runs([study(tmp_path / "x", {"none": [none], "mul": [mul]})])
    clusters = {name: [f"{name}{number // 2}" for number in range(size)] for name, size in SIZES.items()}
    interval, difference = variant(found, "mul").intervals["test/mean"], variant(found, "mul").difference
    assert interval.mean == pytest.approx(np.mean([mul[name].mean() for name in SIZES]))
    assert interval.standard_error == pytest.approx(by_hand(mul, clusters), rel=0.05)
    less = {name: mul[name] - none[name] for name in SIZES}
    assert difference is not None and difference.mean == pytest.approx(np.mean([less[name].mean() for name in SIZES]))
    assert difference.standard_error == pytest.approx(by_hand(less, clusters), rel=0.05)
    assert (found.metric, found.examples, found.clusters) == ("test/mean", 520, 260)


def test_an_image_of_two_datasets_is_one_cluster(tmp_path: Path) -> None:
    """Two datasets of the same images, where what is gained in one is gained in the other, say no more than one."""
    gain = np.random.default_rng(0).normal(0, 10, 100)
    images = [{"image": f"coco/./{number}.png", "cluster": f"{number}.png"} for number in range(100)]
    apart = [{"image": f"other/{number}.png", "cluster": f"{number}.png"} for number in range(100)]
    errors = []
    for place, of_captions in enumerate((images, apart)):
        examples = {
            "vqa": [{**image, "image": image["image"].replace("/.", "")} for image in images],
            "captions": of_captions,
        }
        zero, both = ({name: values for name in ("vqa", "captions")} for values in (np.zeros(100), gain))
        found = compare_runs([study(tmp_path / str(place), {"none": [zero], "mul": [both]}, examples=examples)])
        difference = variant(found, "mul").difference
        assert difference is not None
        errors.append(difference.standard_error)
        assert found.clusters == (100, 200)[place]
    assert errors[0] == pytest.approx(gain.std() / 10, rel=0.05)  # as of one dataset
    assert errors[1] == pytest.approx(errors[0] / 2**0.5, rel=0.05)


def test_differences_on_each_dataset_are_adjusted_together(tmp_path: Path) -> None:
    """Scores are constant over examples, so that seeds alone vary: differences 1 and 2 have a t test of 2 degrees."""

    def flat(**scores: float) -> Scores:
        return {name: np.full(6, value) for name, value in scores.items()}

    none = [flat(vqa=60, gqa=50), flat(vqa=61, gqa=51), flat(vqa=62, gqa=52)]
    mul = [flat(vqa=63, gqa=51), flat(vqa=64.1, gqa=50), flat(vqa=64.9, gqa=52.5)]
    add = [flat(vqa=60, gqa=48), flat(vqa=60.9, gqa=49.1), flat(vqa=62.2, gqa=49.9)]
    found = compare_runs([study(tmp_path / "x", {"none": none, "mul": mul, "add": add})])
    raw = {}
    for name, seeds in (("mul", mul), ("add", add)):
        for dataset in ("vqa", "gqa"):
            values = np.array([ours[dataset][0] - theirs[dataset][0] for ours, theirs in zip(seeds, none, strict=True)])
            t = abs(values.mean()) / (values.std(ddof=1) / 3**0.5)
            raw[name, dataset] = 1 - t / (2 + t**2) ** 0.5
    ordered, largest, adjusted = sorted(raw, key=raw.__getitem__), 0.0, {}
    for rank, at in enumerate(ordered):
        adjusted[at] = largest = max(largest, min(1.0, (4 - rank) * raw[at]))
    for (name, dataset), expected in adjusted.items():
        judged = variant(found, name).on_datasets[KEYS[dataset]]
        assert judged.adjusted_p == pytest.approx(expected, abs=1e-6)
    assert variant(found, "mul").on_datasets[KEYS["vqa"]].verdict == "better"
    assert variant(found, "add").on_datasets[KEYS["gqa"]].verdict == "worse"
    assert variant(found, "add").on_datasets[KEYS["vqa"]].verdict == "no difference shown"
    assert variant(found, "none").on_datasets == {}
    # The mean is tested by itself: over the two variants, not over the datasets.
    mean = np.array(
        [
            (ours["vqa"][0] + ours["gqa"][0] - theirs["vqa"][0] - theirs["gqa"][0]) / 2
            for ours, theirs in zip(mul, none, strict=True)
        ]
    )
    difference = variant(found, "mul").difference
    assert difference is not None and difference.mean == pytest.approx(mean.mean())

    first, verdicts, differences, *_ = grids(found)
    assert first.header == ["variant", "trained", "vqa: VQA accuracy", "gqa: GQA accuracy", "mean"]
    assert [cell.text.split(" ±")[0] for cell in first.lines[1]] == ["routing=mul", "2.50%", "64.00", "51.17", "57.58"]
    assert verdicts.header[2] == "mean" and differences.header == ["variant", "vqa", "gqa", "mean"]
    cells = {line[0].text: [cell.text for cell in line[1:3]] for line in differences.lines}
    assert cells["routing=mul"][0].endswith(" *") and not cells["routing=mul"][1].endswith("*")
    assert any("of 2 datasets, each of which counts the same" in note for note in notes(found))
    line = next(line for line in csv.DictReader(io.StringIO(to_csv(found))) if line["variant"] == "routing=mul")
    assert float(line["test/vqa/vqa_accuracy difference"]) == pytest.approx(3)
    assert float(line["test/mean"]) == pytest.approx(57.5833, abs=1e-3)


def test_what_a_run_on_several_datasets_can_be_compared_by(tmp_path: Path) -> None:
    scores = {"vqa": np.arange(6.0), "captions": np.arange(6.0)}
    run = make_several(tmp_path / "x", "routing=none", scores, metric_variant="mean of 2 datasets")
    further = {"test/vqa/yes_no": 50.0, "test/captions/by_length/5": 1.0, "validation/mean": 2.0}
    run.metrics.write_text(run.metrics.read_text().replace("{", "{" + str(further)[1:-1].replace("'", '"') + ",", 1))
    rows = collect(tmp_path / "x")
    known = {*KEYS.values()} & set(metric_keys(rows)) | {"test/mean", "test/vqa/yes_no"}
    assert known <= set(metric_keys(rows)) and "test/captions/by_length/5" not in metric_keys(rows)
    assert rows[0].provenance["metric"].startswith("vqa: VQA accuracy (official") and rows[0].main == 2.5
    by_vqa = compare_runs([tmp_path / "x"], metric=KEYS["vqa"])
    assert by_vqa.datasets == {} and (by_vqa.variants[0].mean(KEYS["vqa"])) == 2.5
    with pytest.raises(UserError, match="no metric 'test/vqa_accuracy'"):
        compare_runs([tmp_path / "x"], metric="test/vqa_accuracy")


def test_a_dataset_without_scores_leaves_the_others_theirs(tmp_path: Path) -> None:
    scores = {"vqa": np.arange(6.0), "captions": np.arange(6.0)}
    reason = {"captions/CIDEr": "needs Java", "mean": "captions: needs Java"}
    run = make_several(tmp_path / "x", "routing=none", scores, not_computed=reason)
    lines = run.predictions.read_text().replace('"CIDEr"', '"other"').splitlines()
    run.predictions.write_text("\n".join(lines))
    run.metrics.write_text('{"test/vqa/vqa_accuracy": 2.5}')
    found = compare_runs([tmp_path / "x"])
    (only,) = found.variants
    assert KEYS["vqa"] in only.intervals and only.mean("test/mean") is None
    assert any("needs Java" in flag for flag in found.flags)
