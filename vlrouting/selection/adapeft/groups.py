"""The groups of parameters that are chosen or left out as a whole."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from torch import nn

from vlrouting.bottleneck import Bottleneck, Routed, Target
from vlrouting.bottleneck.families import stream_of
from vlrouting.bottleneck.targets import block_number, block_of
from vlrouting.bottleneck.unfreeze import parameters_to_unfreeze
from vlrouting.config.bottleneck import BIASES, EVERYTHING, LAYER_NORMS

LANGUAGE, VISION = "language", "vision"


@dataclass(frozen=True)
class Group:
    """Bottlenecks, or parameters of a frozen model.

    Attributes:
        name: `bottleneck@encoder.layer.3`, or the entry of `select.groups`.
        part: what it has in common with its counterpart in a model of another depth: the name without the block.
        depth: (n + ½) / N for block n of N, between 0 and 1; None outside of the blocks.
        parameters: the trainable parameters that belong to this group alone.
        bottleneck: name of the configuration; empty for parameters of a frozen model.
        targets: of its bottlenecks.
        tower: where the parameters of a frozen model are.
        unfreeze: their names there.
    """

    name: str
    part: str
    depth: float | None
    parameters: tuple[nn.Parameter, ...]
    bottleneck: str = ""
    targets: tuple[Target, ...] = ()
    tower: str = LANGUAGE
    unfreeze: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Number of parameters."""
        return sum(parameter.numel() for parameter in self.parameters)


def find_groups(towers: Mapping[str, Routed], split: str, entries: Sequence[str]) -> list[Group]:
    """All groups: bottlenecks in model order, then the entries.

    Args:
        towers: tower -> what `attach` returned for it.
        split: see `AdapeftConfig`.
        entries: `AdapeftConfig.groups`.

    Raises:
        ValueError: an entry names nothing that is left, bottlenecks share all that they have, or there is no group.
    """
    found = [group for routed in towers.values() for group in _of_bottlenecks(routed, split)]
    for tower, routed in towers.items():
        taken = {p for p in routed.model.parameters() if p.requires_grad}
        taken |= {p for each in routed.bottlenecks.values() for p in each.parameters()}
        for entry in entries if tower == LANGUAGE else (e for e in entries if e in (LAYER_NORMS, BIASES, EVERYTHING)):
            found.append(_of_entry(routed.model, entry, tower, taken))
            taken |= set(found[-1].parameters)
    if not found:
        raise ValueError("select.method: adapeft has no group to choose; configure a bottleneck or select.groups")
    return found


def _of_bottlenecks(routed: Routed, split: str) -> Iterator[Group]:
    members: dict[tuple[str, str], list[Bottleneck]] = defaultdict(list)
    for each in routed.bottlenecks.values():
        members[each.name, _place(each.target.name, split)].append(each)
    trained = {
        key: dict.fromkeys(p for each in group for p in each.parameters() if p.requires_grad)
        for key, group in members.items()
    }
    users = Counter(p for parameters in trained.values() for p in parameters)
    for (name, place), group in members.items():
        own = tuple(p for p in trained[name, place] if users[p] == 1)
        if not own:
            raise ValueError(
                f"select.method: adapeft: the bottlenecks of '{name}' share all that they train, so none of "
                "them can be chosen alone; set select.split: bottleneck"
            )
        yield Group(
            f"{name}@{place}" if place else name,
            f"{name}@{_part(routed.model, place, split)}" if place else name,
            _depth(routed.model, place),
            own,
            bottleneck=name,
            targets=tuple(dict.fromkeys(each.target for each in group)),
        )


def _place(target: str, split: str) -> str:
    """Where the group of a target is; empty where that is everywhere."""
    return {"target": target, "block": block_of(target)[0] or target, "bottleneck": ""}[split]


def _part(model: nn.Module, place: str, split: str) -> str:
    """A place without its block: by the sequence that it reads, because other families have other names for a stack."""
    block, rest = block_of(place)
    if not block:
        return place
    return ".".join(filter(None, (stream_of(model, block), rest if split == "target" else "")))


def _depth(model: nn.Module, place: str) -> float | None:
    number = block_number(place)
    if number is None:
        return None
    stack = block_of(place)[0].rpartition(".")[0]
    blocks = {block_of(name)[0] for name, _ in model.named_modules()}
    return (number + 0.5) / sum(block.rpartition(".")[0] == stack for block in blocks if block)


def _of_entry(model: nn.Module, entry: str, tower: str, taken: set[nn.Parameter]) -> Group:
    try:
        parameters = {name: model.get_parameter(name) for name in parameters_to_unfreeze(model, [entry], ())}
    except ValueError as error:
        raise ValueError(f"select.groups: {str(error).removeprefix('unfreeze: ')}") from None
    left = {name: parameter for name, parameter in parameters.items() if parameter not in taken}
    if not left:
        raise ValueError(
            f"select.groups: all that '{entry}' names in the {tower} model is in an earlier group or trains already; "
            "leave it out, or set model.unfreeze: []"
        )
    name = entry if tower == LANGUAGE else f"{tower}:{entry}"
    return Group(name, name, None, tuple(left.values()), tower=tower, unfreeze=tuple(left))
