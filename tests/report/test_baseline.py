"""What each variant is compared with, and controls."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.made_up_runs import make_run, make_variant
from tests.report.test_comparison import flat, variant
from vlrouting.experiment import UserError
from vlrouting.report.comparison import Comparison, compare_runs


def compared_with(found: Comparison) -> dict[str, str | None]:
    return {each.label: each.baseline for each in found.variants}


def test_the_plain_variant_that_reads_the_image_is_the_baseline(tmp_path: Path) -> None:
    make_variant(tmp_path, "text_only", flat(50), settings={"model.visual_input": "none"})
    make_variant(tmp_path, "frozen", flat(40), settings={"bottleneck.kind": "none"})
    make_variant(tmp_path, "routing=none", flat(60))
    make_variant(tmp_path, "routing=mul", flat(61))
    found = compare_runs([tmp_path])
    plain = dict.fromkeys(("text_only", "frozen", "routing=mul"), "routing=none")
    assert compared_with(found) == {**plain, "routing=none": None}
    assert variant(found, "text_only").control == "none" and variant(found, "routing=mul").control is None


def test_each_variant_is_compared_with_the_nearest_of_several_baselines(tmp_path: Path) -> None:
    for rank in (4, 8):
        for routing in ("none", "mul"):
            settings = {"bottleneck.rank": rank, "bottleneck.routing": routing}
            make_variant(tmp_path, f"rank={rank},routing={routing}", flat(60), settings=settings)
    found = compare_runs([tmp_path])
    assert compared_with(found) == {
        "rank=4,routing=mul": "rank=4,routing=none",
        "rank=4,routing=none": None,
        "rank=8,routing=mul": "rank=8,routing=none",
        "rank=8,routing=none": None,
    }
    assert found.baseline is None and len(found.baselines) == 2


def test_routing_in_a_part_of_the_section_is_routing(tmp_path: Path) -> None:
    text = {"bottleneck.kind": "context_lora", "bottleneck.contexts.image.routing": None}
    make_variant(tmp_path, "routed", flat(60), settings={**text, "bottleneck.contexts.text.routing": "mul"})
    make_variant(tmp_path, "plain", flat(61), settings={**text, "bottleneck.contexts.text.routing": None})
    assert compared_with(compare_runs([tmp_path])) == {"routed": "plain", "plain": None}


def test_plain_bottlenecks_that_are_nearest_to_nothing_are_no_baseline(tmp_path: Path) -> None:
    """Plain LoRA with as many trainable parameters as the routed variants is a control."""
    make_variant(tmp_path, "routing=none", flat(60))
    make_variant(tmp_path, "wide", flat(61), settings={"bottleneck.rank": 99})
    make_variant(tmp_path, "routing=mul", flat(62))
    expected = {"routing=mul": "routing=none", "routing=none": None, "wide": "routing=none"}
    assert compared_with(compare_runs([tmp_path])) == expected


def test_what_was_tuned_does_not_make_a_baseline_farther(tmp_path: Path) -> None:
    make_variant(tmp_path, "routing=none", flat(60), settings={"train.lr": 0.1}, tuned={"keys": ["train.lr"]})
    make_variant(tmp_path, "routing=mul", flat(62), settings={"train.lr": 0.2}, tuned={"keys": ["train.lr"]})
    make_variant(tmp_path, "wide", flat(60), settings={"bottleneck.rank": 99, "train.lr": 0.2})
    assert compared_with(compare_runs([tmp_path]))["routing=mul"] == "routing=none"


def test_baselines_that_fit_equally_are_none(tmp_path: Path) -> None:
    for rank in (4, 8):
        make_variant(tmp_path, f"plain{rank}", flat(60), settings={"bottleneck.rank": rank})
    make_variant(tmp_path, "routed", flat(60), settings={"bottleneck.rank": 5, "bottleneck.routing": "mul"})
    found = compare_runs([tmp_path])
    assert set(compared_with(found).values()) == {None} and found.baselines == ()
    assert any("several baselines fit 'routed' equally" in text and "--baseline" in text for text in found.missing)


def test_without_a_plain_variant_the_baseline_has_to_be_named(tmp_path: Path) -> None:
    for rank in (4, 8):
        make_variant(tmp_path, f"rank={rank}", flat(60), settings={"bottleneck.rank": rank})
    assert any("--baseline" in text and "compare.baseline" in text for text in compare_runs([tmp_path]).missing)
    named = compare_runs([tmp_path], baseline="rank=8")
    assert compared_with(named) == {"rank=4": "rank=8", "rank=8": None}
    with pytest.raises(UserError, match=r"no variant 'rank=9'\. Did you mean 'rank=[48]'\?"):
        compare_runs([tmp_path], baseline="rank=9")
    with pytest.raises(UserError, match=r"no variant 'zz'\. The variants: rank=4, rank=8"):
        compare_runs([tmp_path], baseline="zz")


def test_the_experiments_file_comes_before_what_its_runs_have(tmp_path: Path) -> None:
    folder = tmp_path / "x"
    for routing in ("none", "mul", "add"):
        make_variant(folder, f"routing={routing}", flat(60), settings={"compare.baseline": "routing=mul"})
    assert compared_with(compare_runs([folder]))["routing=add"] == "routing=mul"
    assert compared_with(compare_runs([folder], configured={"x": "routing=add"}))["routing=mul"] == "routing=add"
    assert compared_with(compare_runs([folder], configured={"x": None}))["routing=add"] == "routing=none"
    assert compared_with(compare_runs([folder], baseline="routing=none"))["routing=add"] == "routing=none"
    absent = compare_runs([folder], configured={"x": "routing=gram"})
    assert absent.baselines == () and any("'routing=gram'" in text for text in absent.missing)


def test_each_of_several_experiments_has_its_own_baseline(tmp_path: Path) -> None:
    for name, gain in (("a", 1), ("b", 2)):
        make_variant(tmp_path / name, "routing=none", flat(60, 60.5))
        make_variant(tmp_path / name, "routing=mul", flat(60 + gain, 60.6 + gain))
    found = compare_runs([tmp_path / "a", tmp_path / "b"])
    assert compared_with(found)["b: routing=mul"] == "b: routing=none"
    differences = {each.label: each.difference.mean for each in found.variants if each.difference}
    assert differences == {"a: routing=mul": pytest.approx(1.05), "b: routing=mul": pytest.approx(2.05)}
    named = compare_runs([tmp_path / "a", tmp_path / "b"], baseline="a: routing=none")
    assert set(compared_with(named).values()) == {"a: routing=none", None}


@pytest.mark.parametrize("visual_input", ["noise", "ones"])
def test_an_effect_that_an_image_without_information_has_too_is_flagged(tmp_path: Path, visual_input: str) -> None:
    make_variant(tmp_path, "routing=none", flat(60, 61, 62))
    make_variant(tmp_path, "routing=mul", flat(63, 64.5, 64.5))
    make_variant(tmp_path, "routing=add", flat(63, 64.5, 64.5))
    control = {"bottleneck.routing": "mul", "model.visual_input": visual_input}
    make_variant(tmp_path, "control", flat(63, 64.5, 64.5), settings=control)
    found = compare_runs([tmp_path])
    assert variant(found, "control").control == visual_input
    (flag,) = [flag for flag in found.flags if "survives" in flag]
    assert "routing=mul" in flag and visual_input in flag and "control" in flag


def test_a_control_without_the_effect_is_not_flagged(tmp_path: Path) -> None:
    make_variant(tmp_path, "routing=none", flat(60, 61, 62))
    make_variant(tmp_path, "routing=mul", flat(63, 64.5, 64.5))
    make_variant(
        tmp_path, "control", flat(60, 61.2, 61.8), settings={"bottleneck.routing": "mul", "model.visual_input": "ones"}
    )
    make_run(tmp_path, "other", flat(99)[0], settings={"model.visual_input": "ones"})
    assert not any("survives" in flag for flag in compare_runs([tmp_path]).flags)


@pytest.mark.parametrize("gain, survives", [(3, True), (0, False)])
def test_an_effect_under_a_control_is_that_over_the_baseline_under_it(
    tmp_path: Path, gain: float, survives: bool
) -> None:
    make_variant(tmp_path, "routing=none", flat(60, 61, 62))
    make_variant(tmp_path, "routing=mul", flat(63, 64.5, 64.5))
    shuffled = {"model.visual_input": "shuffled"}
    make_variant(tmp_path, "shuffled_baseline", flat(50, 51, 52), settings={**shuffled, "bottleneck.routing": "none"})
    routed = flat(50 + gain, 51.2 + gain, 51.8 + gain)
    make_variant(tmp_path, "shuffled_routing", routed, settings={**shuffled, "bottleneck.routing": "mul"})
    flags = [flag for flag in compare_runs([tmp_path]).flags if "survives" in flag]
    assert len(flags) == survives
    assert all("shuffled_baseline" in flag for flag in flags)
