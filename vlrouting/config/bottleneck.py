"""The bottleneck: what every kind of it has. The kinds are in `kinds`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

from vlrouting.config.limits import OneOf, Range
from vlrouting.config.problem import Problem
from vlrouting.config.registry import Registry
from vlrouting.config.routings import ROUTINGS

TOWERS = ("language", "vision")
LAYER_NORMS, BIASES, EVERYTHING = "layer_norms", "biases", "all"


@dataclass(kw_only=True)  # a field `_: KW_ONLY` is an error for typing.get_type_hints in Python 3.10
class BottleneckConfig:
    """The bottleneck that every target module gets (arXiv 2403.09377, section 3).

    `BottleneckConfig(kind="lora", rank=16)` gives a config of that kind's own class, which has the kind's keys and no
    others.

    Raises:
        ValueError: no such kind, or a key that it does not have; the text has a did-you-mean.
    """

    kind: str = field(default="lora", kw_only=False)
    """A name of the registry of kinds: `none` (no bottleneck), `lora`, `adapter` and others, of which docs/kinds.md
    says what each can do; or a plug-in's."""
    tower: Annotated[str, OneOf(TOWERS)] = "language"
    """The backbone that it adapts: `language` or `vision`. The vision tower can do without routing only: there is no
    image to route by before the tower has run."""
    routing: Annotated[str, OneOf(ROUTINGS)] = "none"
    """How the image steers the text: a registered routing function. `none` leaves the image out."""
    targets: list[str] | None = None
    """Which base layers are adapted: roles (query, key, value, output, up, down) or, with a dot or a star, patterns of
    module names. Default: the kind's own choice."""
    layers: list[Annotated[int, Range(least=0, most=10_000)]] | None = None
    """Which blocks, counted from 0. Default: all."""
    per_task: bool = False
    """One bottleneck for each dataset of the run behind every target; a step trains those of its dataset."""

    attaches: ClassVar[bool] = True
    """Whether this kind attaches anything to its tower."""
    of_single_weights: ClassVar[bool] = False
    """Whether this kind trains the single weights of `Target.entries`."""
    no_routing: ClassVar[str] = ""
    """Why this kind cannot route; empty for a kind that can."""

    def __new__(cls, *args: Any, **keys: Any) -> BottleneckConfig:
        if cls is BottleneckConfig:
            kind = args[0] if args else keys.get("kind", "lora")
            cls = KINDS.choose(kind, keys)
        return super().__new__(cls)

    @property
    def needs_tasks(self) -> bool:
        """Whether it has to know the tasks of the run when it is built, and the batch's in every forward pass."""
        return self.per_task

    @property
    def needs_selector(self) -> bool:
        """Whether it attaches nothing but what a selector chooses."""
        return False

    @property
    def needs_prefix(self) -> bool:
        """Whether it adapts the image's own tokens, so that there have to be some in the sequence."""
        return False

    @property
    def routings(self) -> dict[str, str]:
        """Key that gives a routing function -> the function, for each that the bottleneck uses; `none` among them."""
        return {"routing": self.routing}

    @property
    def routing_names(self) -> str:
        """Its routing functions as a text: `mul`, or `none, mul`."""
        return ", ".join(dict.fromkeys(self.routings.values()))

    @property
    def routed(self) -> bool:
        """Whether the bottleneck reads the image."""
        return any(name != "none" for name in self.routings.values())

    @property
    def image_keys(self) -> dict[str, str]:
        """The keys that make it read the image -> a value that does not."""
        return {key: "none" for key, name in self.routings.items() if name != "none"}

    def problems(self) -> list[Problem]:
        """What is wrong with the section, keys relative to it."""
        found: list[Problem] = []
        if self.routed and self.no_routing:
            message = f"kind: {self.kind} cannot route: {self.no_routing}"
            found.append(Problem(("routing",), message, "set none", depends_on=("kind",)))
        if self.per_task and not self.attaches:
            found.append(Problem(("per_task",), f"kind: {self.kind} attaches nothing", depends_on=("kind",)))
        if self.routed and self.tower == "vision":
            found.append(Problem(("routing", "tower"), "the vision tower has no image features to route by yet"))
        return found


KINDS: Registry[type[BottleneckConfig]] = Registry("kind of bottleneck", {})
"""`bottleneck.kind` -> config dataclass and bottleneck class. `kinds` registers the built-in ones."""
