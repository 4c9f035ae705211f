"""From sensitivities to trainable parameters within a budget (arXiv 2303.08566, section 3.3)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vlrouting.selection.spt.groups import Group

STEPS = 79
"""The authors try 0.02 M, 0.04 M, …, 1.58 M chosen weights."""


@dataclass(frozen=True)
class Choice:
    """The trainable parameters.

    Attributes:
        chosen: number τ of the most sensitive weights that it follows from.
        trainable: parameters that train.
        matrices: that get a bottleneck.
        vectors: that train as a whole.
        entries: of every other group, the positions of the chosen weights in `Group.span`; some may have none.
    """

    chosen: int
    trainable: int
    matrices: list[Group]
    vectors: list[Group]
    entries: list[tuple[Group, list[int]]]


def choose(
    groups: Sequence[Group],
    sensitivities: Sequence[Tensor],
    *,
    budget: int,
    step: int,
    alpha: float,
    beta: float,
    always: int = 0,
) -> Choice:
    """The choice whose number of trainable parameters comes closest to the budget; of several, the one with the fewest
    chosen weights.

    Chosen weights of vectors that do not train as a whole, and in which single entries cannot train, such as those of
    norms, are left out. The released code counts them all the same; here only trainable parameters count. A weight
    with a sensitivity of zero is never chosen.

    Args:
        groups: among which to choose.
        sensitivities: of each group, flat.
        budget: trainable parameters to come close to.
        step: between two numbers of chosen weights that are tried.
        alpha: a matrix gets a bottleneck of C parameters where at least C / alpha of its weights are chosen.
        beta: a vector of L values trains as a whole where at least L / beta of them are chosen.
        always: parameters that train in any case.

    Raises:
        ValueError: every sensitivity is zero.
    """
    flat = torch.cat([values.float() for values in sensitivities])
    best = flat.topk(min(STEPS * step, int((flat > 0).sum()))).indices
    if not len(best):
        raise ValueError("select.method: spt: no weight changes the loss, so there is nothing to choose")
    ends = torch.tensor([len(values) for values in sensitivities]).cumsum(0)
    owners = torch.bucketize(best, ends, right=True)
    tried = [
        (chosen, _trainable(groups, _counts(owners[:chosen], groups), alpha, beta) + always)
        for chosen in _numbers(step, best)
    ]
    chosen, trainable = min(tried, key=lambda pair: abs(pair[1] - budget))
    positions = _positions(best[:chosen], owners[:chosen], ends, len(groups))
    whole = [_trains_whole(group, len(at), alpha, beta) for group, at in zip(groups, positions, strict=True)]
    matrices = [group for group, is_whole in zip(groups, whole, strict=True) if is_whole and not group.is_vector]
    vectors = [group for group, is_whole in zip(groups, whole, strict=True) if is_whole and group.is_vector]
    rest = zip(groups, positions, whole, strict=True)
    entries = [(group, at) for group, at, is_whole in rest if not is_whole and group.offset is not None]
    return Choice(chosen, trainable, matrices, vectors, entries)


def _numbers(step: int, best: Tensor) -> Iterator[int]:
    """Numbers of chosen weights to try."""
    for number in range(1, STEPS + 1):
        yield min(number * step, len(best))
        if number * step >= len(best):
            return


def _counts(owners: Tensor, groups: Sequence[Group]) -> list[int]:
    counts: list[int] = owners.bincount(minlength=len(groups)).tolist()
    return counts


def _trains_whole(group: Group, count: int, alpha: float, beta: float) -> bool:
    """Whether a group with this many chosen weights gets a bottleneck, or trains as a vector."""
    if group.is_vector:
        return count > 0 and count * beta >= len(group.span)
    return count > 0 and group.target is not None and count * alpha >= group.cost


def _trainable(groups: Sequence[Group], counts: Sequence[int], alpha: float, beta: float) -> int:
    total = 0
    for group, count in zip(groups, counts, strict=True):
        if _trains_whole(group, count, alpha, beta):
            total += len(group.span) if group.is_vector else group.cost
        elif group.offset is not None:
            total += count
    return total


def _positions(best: Tensor, owners: Tensor, ends: Tensor, groups: int) -> list[list[int]]:
    """Of each group, the positions of its chosen weights, in order."""
    at = best.sort().values
    own = torch.bucketize(at, ends, right=True)
    starts = torch.cat([ends.new_zeros(1), ends[:-1]])
    parts: list[list[int]] = [
        part.tolist() for part in torch.split(at - starts[own], own.bincount(minlength=groups).tolist())
    ]
    return parts
