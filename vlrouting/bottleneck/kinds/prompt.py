"""Prompt tuning (arXiv 2104.08691): trained tokens before the whole input of a language model."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from vlrouting.bottleneck.base import Bottleneck, Site
from vlrouting.bottleneck.context import cached_tokens
from vlrouting.bottleneck.targets import Target
from vlrouting.config import BottleneckConfig
from vlrouting.config.kinds.prompt import PromptConfig


class Prompt(Bottleneck):
    """[P; X] in place of the input embeddings X, with P (L, D) trained, or P = MLP(P') with `hidden`.

    Hooks on the stack that embeds the text extend its embeddings, mask and positions, and cut the prompt's positions
    off what it returns, so that nothing outside of the stack knows of them. While text is generated with a cache, the
    prompt enters with the first call; later calls see it in the cache. An encoder's output keeps it where a decoder
    attends to the encoder; that decoder's mask is extended.

    Step 0 is not the frozen model: the tokens are attended to from the start.

    Attributes:
        leading_tokens: L.
        embedding: P (L, D). It starts as the embeddings of random tokens of the vocabulary (section 3.2 of the paper),
            or with `hidden` as P', standard normal.
        mlp: D -> hidden -> D with tanh; identity without `hidden`.
    """

    config: PromptConfig

    def __init__(self, config: PromptConfig, site: Site) -> None:
        super().__init__(config, site)
        vocabulary: Tensor = site.base_layers[0].weight  # type: ignore[assignment]
        entries, width = vocabulary.shape
        self.leading_tokens = config.tokens
        self.embedding = nn.Embedding(config.tokens, width)
        self.mlp: nn.Module = nn.Identity()
        if config.hidden is None:
            rows = torch.randint(entries, (config.tokens,)).to(vocabulary.device)
            self.embedding.weight = nn.Parameter(vocabulary.detach()[rows].float())
        else:
            self.mlp = nn.Sequential(nn.Linear(width, config.hidden), nn.Tanh(), nn.Linear(config.hidden, width))
        self._stacks = _stacks(site.model)  # a tuple: they are not submodules

    @classmethod
    def find_targets(cls, model: nn.Module, config: BottleneckConfig) -> list[Target]:
        """See `Bottleneck`. The target is the input embedding of the stack that reads the text.

        Raises:
            ValueError: the model embeds no text, or targets are named.
        """
        if config.targets is not None:
            raise ValueError("kind: prompt stands before the model's input and takes no targets")
        embedding = _stacks(model)[0].get_input_embeddings()  # type: ignore[operator]
        name = next(name for name, module in model.named_modules() if module is embedding)
        return [Target(name, (name,))]

    def forward(self) -> Tensor:
        """The trained tokens, (L, D)."""
        tokens: Tensor = self.mlp(self.embedding.weight)
        return tokens

    def install(self, base_layers: Sequence[nn.Module]) -> list[RemovableHandle]:
        """Hooks on the stack, on its pooler, and on the decoder that attends to it."""
        (stack, *decoders), self._stacks = self._stacks, ()
        handles = [stack.register_forward_pre_hook(self._extend_input, with_kwargs=True)]
        for decoder in decoders:
            handles.append(decoder.register_forward_pre_hook(self._extend_encoder_mask, with_kwargs=True))
        if not decoders:
            handles.append(stack.register_forward_hook(self._cut_output, with_kwargs=True))
            pooler = getattr(stack, "pooler", None)
            if pooler is not None:
                handles.append(pooler.register_forward_pre_hook(self._cut_input))
        return handles

    # Methods rather than closures: a deep copy of the model then calls its own bottleneck.
    def _extend_input(
        self, stack: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        given = _by_name(stack, args, kwargs)
        _require_plain_mask(given.get("attention_mask"), self.key)
        first = cached_tokens(given) == 0
        if first:
            if given.get("inputs_embeds") is None:
                given["inputs_embeds"] = stack.get_input_embeddings()(given.pop("input_ids"))  # type: ignore[operator]
            text = given["inputs_embeds"]  # (B, T, D)
            tokens = self().to(text.dtype).expand(len(text), -1, -1)
            given["inputs_embeds"] = torch.cat([tokens, text], dim=1)
        if given.get("attention_mask") is not None:
            given["attention_mask"] = _before(given["attention_mask"], self.leading_tokens, 1)
        if first and given.get("token_type_ids") is not None:
            given["token_type_ids"] = _before(given["token_type_ids"], self.leading_tokens, 0)
        for key in ("position_ids", "cache_position"):
            if given.get(key) is not None:
                positions = given[key] + self.leading_tokens
                prompt = torch.arange(self.leading_tokens, device=positions.device).expand(*positions.shape[:-1], -1)
                given[key] = torch.cat([prompt, positions], dim=-1) if first else positions
        return (), given

    def _extend_encoder_mask(
        self, decoder: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        given = _by_name(decoder, args, kwargs)
        states, mask = given.get("encoder_hidden_states"), given.get("encoder_attention_mask")
        if states is not None and mask is not None and states.shape[1] >= mask.shape[1] + self.leading_tokens:
            given["encoder_attention_mask"] = _before(mask, self.leading_tokens, 1)
        return (), given

    def _cut_output(self, _stack: nn.Module, _args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> Any:
        embeddings = kwargs.get("inputs_embeds")
        if embeddings is None or cached_tokens(kwargs) not in (0, embeddings.shape[1]):
            return output  # a later call, with the prompt in the cache
        length = output[0].shape[1]
        if isinstance(output, tuple):
            return tuple(self._cut(value, length) for value in output)
        for key, value in output.items():
            output[key] = self._cut(value, length)
        return output

    def _cut_input(self, _pooler: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return (inputs[0][:, self.leading_tokens :], *inputs[1:])

    def _cut(self, value: Any, length: int) -> Any:
        """States (B, T, D) and attention probabilities (B, H, T, T') without the prompt's rows."""
        if isinstance(value, (tuple, list)):
            return type(value)(self._cut(each, length) for each in value)
        if isinstance(value, Tensor) and value.dim() == 3 and value.shape[1] == length:
            return value[:, self.leading_tokens :]
        if isinstance(value, Tensor) and value.dim() == 4 and value.shape[2] == length:
            return value[:, :, self.leading_tokens :]
        return value


def _stacks(model: Any) -> tuple[nn.Module, ...]:
    """The stack that reads the text, and the decoder that attends to it, if there is one.

    Raises:
        ValueError: the model embeds no text.
    """
    if getattr(getattr(model, "config", None), "is_encoder_decoder", False):
        return model.get_encoder(), model.get_decoder()
    stack = getattr(model, "base_model", model)
    embedding = stack.get_input_embeddings() if hasattr(stack, "get_input_embeddings") else None
    if not isinstance(embedding, nn.Embedding):
        raise ValueError(
            f"kind: prompt puts trained tokens before a language model's text, and {type(model).__name__} reads none"
        )
    return (stack,)


def _by_name(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a call of the module, all of them by name."""
    names = list(inspect.signature(module.forward).parameters)
    return {**dict(zip(names, args, strict=False)), **kwargs}


def _before(tensor: Tensor, columns: int, value: int) -> Tensor:
    """(B, T) -> (B, columns + T)."""
    return torch.cat([tensor.new_full((len(tensor), columns), value), tensor], dim=1)


def _require_plain_mask(mask: Any, key: str) -> None:
    if mask is not None and not (isinstance(mask, Tensor) and mask.dim() == 2):
        raise ValueError(
            f"{key}: kind: prompt extends an attention mask (B, T), and this one has another form; "
            "generate without a static cache, and give the model a mask of two dimensions"
        )
