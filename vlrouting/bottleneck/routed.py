"""A model with bottlenecks: gives them the image, saves them, merges them, takes them out again."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from vlrouting.bottleneck.activation_checkpointing import carry_context, drop_context
from vlrouting.bottleneck.argument_types import require_type
from vlrouting.bottleneck.artifact import write_artifact
from vlrouting.bottleneck.base import Bottleneck, Site
from vlrouting.bottleneck.context import ContextSlot, ForwardContext, cached_tokens
from vlrouting.bottleneck.fingerprint import weight_fingerprint
from vlrouting.bottleneck.per_task import only_for_its_task
from vlrouting.bottleneck.table import share_of, table_of
from vlrouting.bottleneck.targets import Target
from vlrouting.config import KINDS, BottleneckConfig
from vlrouting.config.experiment import SINGLE

_DETACHED, _MERGED = "detached", "merged into the weights"


class Routed:
    """A frozen model and the bottlenecks that were attached to it.

    Attributes:
        model: the model, changed in place.
        configs: name -> configuration; a single one is called `bottleneck`.
        bottlenecks: module name -> bottleneck, in model order. With several configurations the key is `name:module`;
            with `per_task` it ends with `@task`.
        places: name -> targets of the bottlenecks of that configuration.
        unfrozen: what was unfrozen, as `attach` was told.
        visual_width: width D of the visual features that `look_at` takes.
        tasks: those that the bottlenecks were built for; none where no configuration `needs_tasks`.
    """

    def __init__(
        self,
        model: nn.Module,
        configs: Mapping[str, BottleneckConfig],
        visual_width: int,
        tasks: Sequence[str] = (),
    ) -> None:
        self.model, self.configs, self.visual_width = model, dict(configs), visual_width
        self.tasks = tuple(tasks)
        self.bottlenecks: dict[str, Bottleneck] = {}
        self.places: dict[str, list[Target]] = {name: [] for name in configs}
        self.unfrozen: tuple[str, ...] = ()
        self._owners: dict[str, tuple[str, str]] = {}  # key -> (module name, attribute) of a bottleneck
        self._slot = ContextSlot()
        self._over_targets: dict[str, dict[str, nn.Module]] = {name: {} for name in configs}
        self._handles: list[RemovableHandle] = [model.register_forward_pre_hook(self._begin_forward, with_kwargs=True)]
        self._taken_out = ""  # how the bottlenecks left the model
        self._values_before: dict[str, Tensor] = {}
        self._required_grad = {name for name, p in model.named_parameters() if p.requires_grad}

    @property
    def trainable_parameters(self) -> int:
        """Number of trainable parameters: bottlenecks and what was unfrozen."""
        return sum(parameter.numel() for parameter in self.model.parameters() if parameter.requires_grad)

    @property
    def unfrozen_parameters(self) -> int:
        """Number of parameters of the model itself that `attach` unfroze."""
        return sum(before.numel() for before in self._values_before.values())

    def __repr__(self) -> str:
        return f"Routed({type(self.model).__name__}, {self._taken_out})" if self._taken_out else table_of(self)

    def print_trainable_parameters(self) -> None:
        """Print how many parameters train, and their share of all."""
        print(share_of(self))

    @contextmanager
    def look_at(
        self,
        visual: Tensor | None,
        *,
        mask: Tensor | None = None,
        modality: Tensor | None = None,
        target_modality: Tensor | None = None,
        task: str | None = None,
    ) -> Iterator[ForwardContext]:
        """Every bottleneck reads this image, and the other facts, inside the block.

        Each thread and each async task has blocks of its own; see `ForwardContext`. In `model.generate(num_beams=…,
        num_return_sequences=…)` all rows of an example read its image: give it once.

        Args:
            visual: (B, V, D), one image for each row of the batch, or for several rows that stand next to each other
                (beams). None where there is no image.
            mask: (B, V), true for real visual tokens; None where all are real.
            modality: (B, T) code of every position of the sequence, of an encoder-decoder the encoder's
                (`vlrouting.bottleneck.context`).
            target_modality: (B, T') the same of the decoder's sequence in an encoder-decoder.
            task: of the batch. With `per_task`, one of `tasks`.

        Raises:
            ValueError: the image or its mask is not of that shape, or the task has no bottlenecks.
            TypeError: an argument has the wrong type.
            RuntimeError: the bottlenecks have been detached.
        """
        if self._taken_out == _DETACHED:
            raise RuntimeError(f"look_at: the bottlenecks are {_DETACHED}; attach them again")
        tensors = {"visual": visual, "mask": mask, "modality": modality, "target_modality": target_modality}
        for argument, value in tensors.items():
            require_type("look_at", argument, value, (Tensor, type(None)))
        require_type("look_at", "task", task, (str, type(None)))
        if self.tasks and task not in self.tasks:
            raise ValueError(f"look_at: task is {task!r}; there are bottlenecks for {', '.join(map(repr, self.tasks))}")
        if visual is not None and (visual.dim() != 3 or visual.shape[-1] != self.visual_width):
            raise ValueError(
                f"look_at takes visual features (B, V, {self.visual_width}), not {tuple(visual.shape)}; "
                "project them to the width of the language model first"
            )
        if mask is not None and (visual is None or mask.shape != visual.shape[:2]):
            raise ValueError(f"look_at takes a mask (B, V) of the visual features, not {tuple(mask.shape)}")
        carry_context(self.model, self._slot)
        context = ForwardContext(
            visual, self.bottlenecks, mask=mask, modality=modality, target_modality=target_modality, task=task
        )
        with self._slot.holding(context):
            yield context

    def auxiliary_loss(self) -> Tensor | None:
        """What the bottlenecks add to the loss of the training step whose forward pass has just run; None where none of
        them adds anything. See `Bottleneck.auxiliary_loss`."""
        added = [loss for each in self.bottlenecks.values() if (loss := each.auxiliary_loss()) is not None]
        return torch.stack(added).sum() if added else None

    def save(self, directory: str | Path) -> None:
        """Write the trained tensors and what was attached where; `vlrouting.bottleneck.load` reads them.

        Raises:
            ValueError: a tensor holds NaN or an infinity, or something that was unfrozen has been frozen since.
            TypeError: `directory` is no path.
            RuntimeError: the bottlenecks have been detached or merged.
        """
        require_type("save", "directory", directory, (str, Path))
        if self._taken_out:
            raise RuntimeError(f"save: the bottlenecks are {self._taken_out}, so there is nothing to save")
        frozen = [name for name in self._values_before if not self.model.get_parameter(name).requires_grad]
        if frozen:
            raise ValueError(
                f"save: {frozen[0]} was unfrozen by attach and has requires_grad=False now; set it to True"
            )
        write_artifact(
            Path(directory),
            self.model,
            {"backbone": self.backbone(), "visual_width": self.visual_width, **self.attached()},
        )

    def backbone(self) -> dict[str, Any]:
        """Name, revision and fingerprint of the frozen weights, as adapter_config.json has them."""
        config = getattr(self.model, "config", None)
        return {
            "name": getattr(config, "_name_or_path", "") or type(self.model).__name__,
            "revision": getattr(config, "_commit_hash", None),
            "fingerprint": weight_fingerprint(self.model),
        }

    def attached(self) -> dict[str, Any]:
        """Configurations, targets and unfrozen parameters, as adapter_config.json has them."""
        return {
            "bottlenecks": {name: dataclasses.asdict(config) for name, config in self.configs.items()},
            "places": {name: [target.to_json() for target in targets] for name, targets in self.places.items()},
            "unfreeze": list(self.unfrozen),
            **({"tasks": list(self.tasks)} if self.tasks else {}),
        }

    def detach(self) -> nn.Module:
        """Take the bottlenecks out and give the model back as it was before `attach`, unfrozen parameters included. A
        second call changes nothing.

        Raises:
            RuntimeError: the bottlenecks have been merged into the weights.
        """
        if self._taken_out == _MERGED:
            raise RuntimeError(f"detach: the bottlenecks are {_MERGED}, which cannot be undone; load the model again")
        if self._taken_out:
            return self.model
        self._taken_out = _DETACHED
        with torch.no_grad():
            for name, before in self._values_before.items():
                self.model.get_parameter(name).copy_(before)
        self._remove_bottlenecks()
        for name, parameter in self.model.named_parameters():
            parameter.requires_grad_(name in self._required_grad)
        return self.model

    def merge(self) -> nn.Module:
        """Fold the bottlenecks into the frozen weights and give the model back without them.

        Raises:
            ValueError: a bottleneck that no weight can stand for; the text says why. Nothing is changed then.
            RuntimeError: the bottlenecks have been detached or merged.
        """
        if self._taken_out:
            raise RuntimeError(f"merge: the bottlenecks are {self._taken_out}; attach them again")
        for bottleneck in self.bottlenecks.values():
            bottleneck.check_mergeable()
        for key, bottleneck in self.bottlenecks.items():
            bottleneck.merge_into(self.model.get_submodule(self._owners[key][0]))
        self._taken_out = _MERGED
        self._remove_bottlenecks()
        return self.model

    def add(self, name: str, target: Target) -> None:
        """Build the bottleneck of a target, or one per task, and put it in; `attach` calls this for every target."""
        base_layers = tuple(self.model.get_submodule(layer) for layer in target.base_layers)
        key = target.name if len(self.configs) == 1 else f"{name}:{target.name}"
        over_tasks: dict[str, nn.Module] = {}
        for task in self.tasks if self.configs[name].per_task else (None,):
            site = Site(
                key=key if task is None else f"{key}@{task}",
                target=target,
                base_layers=base_layers,
                model=self.model,
                visual_width=self.visual_width,
                slot=self._slot,
                name=name,
                tasks=self.tasks,
                task=task,
                over_tasks=over_tasks,
                over_targets=self._over_targets[name],
            )
            self._add_one(site)
        self.places[name].append(target)

    def _add_one(self, site: Site) -> None:
        config, target = self.configs[site.name], site.target
        owner = self.model.get_submodule(target.name)
        child = SINGLE if site.name == SINGLE else f"{SINGLE}_{site.name}"
        child += "" if site.task is None else f"@{site.task}"
        if hasattr(owner, child):
            raise ValueError(f"the model has bottlenecks already ({target.name}.{child}); call detach() first")
        try:
            bottleneck: Bottleneck = KINDS.load(config.kind)(config, site)
        except TypeError as error:  # a kind of bottleneck on a module that it is not for
            raise ValueError(f"{target.name}: {error}") from error
        handles = bottleneck.install(site.base_layers)
        if site.task is not None:
            only_for_its_task(handles, bottleneck)
        self._handles += handles
        bottleneck.to(next(site.base_layers[0].parameters()).device)
        bottleneck.train(owner.training)
        owner.add_module(child, bottleneck)
        self.bottlenecks[site.key] = bottleneck
        self._owners[site.key] = (target.name, child)

    def unfreeze(self, what: Sequence[str], names: Sequence[str]) -> None:
        """Let parameters of the frozen model train; `attach` calls this. `detach` restores their values."""
        self.unfrozen = tuple(what)
        for name in names:
            parameter = self.model.get_parameter(name)
            self._values_before[name] = parameter.detach().clone()
            parameter.requires_grad_(True)

    def _remove_bottlenecks(self) -> None:
        for handle in self._handles:
            handle.remove()
        for bottleneck in self.bottlenecks.values():
            bottleneck.uninstall([self.model.get_submodule(layer) for layer in bottleneck.target.base_layers])
        for module, child in self._owners.values():
            delattr(self.model.get_submodule(module), child)
        drop_context(self.model)
        self.bottlenecks, self._handles, self._owners, self._over_targets = {}, [], {}, {}

    def _begin_forward(self, model: nn.Module, _inputs: Any, given: dict[str, Any]) -> None:
        if self._slot.current is not None:
            # The cache of an encoder-decoder is the decoder's, whose sequence is text.
            pair = getattr(getattr(model, "config", None), "is_encoder_decoder", False)
            self._slot.current.begin_forward(0 if pair else cached_tokens(given))
