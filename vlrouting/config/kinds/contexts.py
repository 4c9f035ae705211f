"""What the kinds of Context-PEFT (arXiv 2312.08900) share: weights that each token chooses by its modality."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Annotated, Any

from vlrouting.config.bottleneck import BottleneckConfig
from vlrouting.config.kinds.lora import SCALINGS
from vlrouting.config.limits import OneOf, Positive, Range
from vlrouting.config.names import no_such_key
from vlrouting.config.problem import Problem
from vlrouting.config.routings import ROUTINGS


@dataclass(kw_only=True)
class ContextConfig:
    """The weights of one context; {} for the settings of the bottleneck, null for no weights. The keys belong to
    `kind: context_lora`."""

    rank: Annotated[int, Range(least=1, most=100_000)] | None = None
    """Width R of this context's projections. Default: the bottleneck's."""
    alpha: Positive | None = None
    """This context's update is scaled by alpha / rank. Default: the bottleneck's; else the context's rank."""
    scaling: Annotated[str, OneOf(SCALINGS)] | None = None
    """`standard` or `rank_stabilized`. Default: the bottleneck's."""
    routing: Annotated[str, OneOf(ROUTINGS)] | None = None
    """The routing function for the tokens of this context. Default: the bottleneck's."""


@dataclass(kw_only=True)
class ContextsConfig:
    """The contexts; a token adds up what the contexts give that it is in."""

    image: ContextConfig | None = field(default_factory=ContextConfig)
    """The image's tokens: the visual prefix, in an encoder-decoder that of the encoder. null: no weights of their
    own."""
    text: ContextConfig | None = field(default_factory=ContextConfig)
    """All other tokens, generated ones and padding among them. null: no weights of their own."""
    all: ContextConfig | None = None
    """Every token. Alone (`image` and `text` null) it is the method without contexts."""


@dataclass(kw_only=True)
class ContextKindConfig(BottleneckConfig):
    """A kind whose weights are chosen by each token's modality (arXiv 2312.08900)."""

    contexts: ContextsConfig = field(default_factory=ContextsConfig)
    """Which tokens have weights of their own: `{image: {…}, text: {…}}`, both by default."""

    def __post_init__(self) -> None:
        """An artifact, or a notebook, may give `contexts` as a dictionary.

        Raises:
            ValueError: it has an unknown key; the text has a did-you-mean.
        """
        given: Any = self.contexts
        if isinstance(given, Mapping):
            self.contexts = _made(
                ContextsConfig,
                {
                    name: _made(ContextConfig, keys) if isinstance(keys, Mapping) else keys
                    for name, keys in given.items()
                },
            )

    @property
    def named_contexts(self) -> dict[str, ContextConfig]:
        """The contexts that have weights, by name."""
        named = {"image": self.contexts.image, "text": self.contexts.text, "all": self.contexts.all}
        return {name: context for name, context in named.items() if context is not None}

    @property
    def needs_prefix(self) -> bool:
        """See `BottleneckConfig`."""
        return self.contexts.image is not None

    def problems(self) -> list[Problem]:
        """See `BottleneckConfig`."""
        found = super().problems()
        if self.tower == "vision":
            message = "all tokens of a vision tower are the image's, so there is nothing to choose by"
            found.append(Problem(("tower",), message, "set tower: language", depends_on=("kind",)))
        if not self.named_contexts:
            found.append(Problem(("contexts",), "no context is left", "keep one of image, text and all"))
        return found


@dataclass(kw_only=True)
class VectorContextsConfig(ContextKindConfig):
    """A kind of Context-PEFT with one trained vector per context."""

    def problems(self) -> list[Problem]:
        """See `BottleneckConfig`."""
        given = (
            (f"contexts.{name}.{key.name}", key.name)
            for name, context in self.named_contexts.items()
            for key in fields(ContextConfig)
            if getattr(context, key.name) is not None
        )
        return super().problems() + [
            Problem((path,), f"belongs to kind: context_lora; a vector has no {key}", "take it out")
            for path, key in given
        ]


def _made(section: type[Any], keys: Mapping[str, Any]) -> Any:
    known = [each.name for each in fields(section)]
    for key in keys:
        if key not in known:
            raise ValueError("".join(no_such_key("contexts", key, known)))
    return section(**keys)
