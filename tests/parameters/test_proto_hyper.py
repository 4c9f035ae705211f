"""The parameters of PHA (arXiv 2310.11670) at its published size: T5-base, rank 64."""

from __future__ import annotations

from tests.command_line import REPOSITORY
from vlrouting.experiment import load
from vlrouting.parameters import experiment_parameters

T5 = REPOSITORY / "tests" / "fixtures" / "t5_base"
D, R, P, H, LAYERS, TASKS = 768, 64, 64, 128, 12, 4


def linear(inputs: int, outputs: int) -> int:
    return inputs * outputs + outputs


def test_the_experiment_has_the_published_numbers() -> None:
    experiment = load("related_pha", [f"language.name={T5}"], REPOSITORY / "experiments")
    found = {each.name: each.counts.bottlenecks for each in experiment_parameters(experiment.points)}
    heads = 2 * linear(P, D * R) + linear(P, D) + linear(P, R)
    hypernetwork = linear(2 * P, H) + linear(H, P) + 2 * P + heads + LAYERS * P
    retriever, encoder = linear(D, H) + linear(H, P), LAYERS * (2 * D * R + R + D)
    assert [round(number / 1e6, 2) for number in (hypernetwork, encoder, retriever)] == [6.47, 1.19, 0.11]
    assert round((hypernetwork + encoder + retriever) / 1e6, 2) == 7.77
    prototypes = TASKS * P
    for name, counts in found.items():
        of_encoder, of_decoder = counts.values()
        with_retriever = 0 if name == "without_retriever" else retriever
        assert (of_encoder, of_decoder) == (encoder, hypernetwork + prototypes + with_retriever), name


def test_the_prototypes_may_have_another_width() -> None:
    overrides = [f"language.name={T5}", "bottlenecks.decoder.prototype_width=16", "bottlenecks.decoder.hidden=32"]
    experiment = load("related_pha", overrides, REPOSITORY / "experiments")
    (found, *_) = experiment_parameters(experiment.points)
    heads = 2 * linear(16, D * R) + linear(16, D) + linear(16, R)
    hypernetwork = linear(32, 32) + linear(32, 16) + 2 * 16 + heads + (LAYERS + TASKS) * 16
    assert list(found.counts.bottlenecks.values())[1] == hypernetwork + linear(D, 32) + linear(32, 16)
