"""docs/kinds.md, made by trying: what every kind of bottleneck can do on four sorts of models.

    python -m tests.kinds_table > docs/kinds.md

`tests/test_kinds_table.py` fails where the file is not what trying gives.
"""

from __future__ import annotations

import copy
import json
import os
import socket
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import timm
import torch
from torch import Tensor, nn

from tests.tiny_models import WIDTH, inputs, tiny
from vlrouting.backbones.language import enable_gradient_checkpointing
from vlrouting.bottleneck import BottleneckConfig, Routed, attach, load
from vlrouting.bottleneck.context import IMAGE, TEXT

TASKS = ("first", "second")
ROWS = 4
VISION = "vision tower"
PROCESSES = 2


@dataclass(frozen=True)
class Setting:
    """A line of the tables: keys of `bottleneck`, and what else trains."""

    keys: Mapping[str, Any]
    unfreeze: tuple[str, ...] = ()

    def config(self, model: str, **more: Any) -> BottleneckConfig:
        """The configuration, for the tower that the model is."""
        return BottleneckConfig(**{**self.keys, "tower": "vision" if model == VISION else "language", **more})


SETTINGS = {
    "none, unfreeze: [layer_norms]": Setting({"kind": "none"}, ("layer_norms",)),
    "none, unfreeze: [biases]": Setting({"kind": "none"}, ("biases",)),
    "none, unfreeze: [all]": Setting({"kind": "none"}, ("all",)),
    "lora": Setting({"kind": "lora", "rank": 4}),
    "lora, scaling: rank_stabilized": Setting({"kind": "lora", "rank": 4, "alpha": 8, "scaling": "rank_stabilized"}),
    "lora, per_task": Setting({"kind": "lora", "rank": 4, "per_task": True}),
    "lora, shared_down_per_task": Setting({"kind": "lora", "rank": 4, "per_task": True, "shared_down_per_task": True}),
    "dora": Setting({"kind": "dora", "rank": 4}),
    "vera": Setting({"kind": "vera", "rank": 4}),
    "adapter": Setting({"kind": "adapter", "rank": 4}),
    "adapter, residual: false": Setting({"kind": "adapter", "rank": 4, "residual": False}),
    "adapter, position: parallel": Setting({"kind": "adapter", "rank": 4, "position": "parallel"}),
    "adapter, per_task": Setting({"kind": "adapter", "rank": 4, "per_task": True}),
    "compacter": Setting({"kind": "compacter", "rank": 4}),
    "compacter, factor_rank: null": Setting({"kind": "compacter", "rank": 4, "factor_rank": None}),
    "vl_pet, granularity: large": Setting({"kind": "vl_pet", "rank": 4}),
    "vl_pet, granularity: small": Setting({"kind": "vl_pet", "rank": 4, "granularity": "small"}),
    "genft": Setting({"kind": "genft", "rank": 4, "layer_rank": 2}),
    "genft, final_activation: identity": Setting(
        {"kind": "genft", "rank": 4, "layer_rank": 2, "final_activation": "identity"}
    ),
    "genft, orientation: peft": Setting({"kind": "genft", "rank": 4, "layer_rank": 2, "orientation": "peft"}),
    "ia3": Setting({"kind": "ia3"}),
    "context_lora": Setting({"kind": "context_lora", "rank": 4, "bias": True}),
    "context_lora, contexts: {image: null, text: null, all: {}}": Setting(
        {"kind": "context_lora", "rank": 4, "contexts": {"image": None, "text": None, "all": {}}}
    ),
    "context_lora, per_task": Setting({"kind": "context_lora", "rank": 4, "per_task": True}),
    "context_ia3": Setting({"kind": "context_ia3"}),
    "context_bitfit": Setting({"kind": "context_bitfit"}),
    "prompt": Setting({"kind": "prompt", "tokens": 3}),
    "prompt, hidden": Setting({"kind": "prompt", "tokens": 3, "hidden": 5}),
    "prefix": Setting({"kind": "prefix", "tokens": 3}),
    "prefix, hidden": Setting({"kind": "prefix", "tokens": 3, "hidden": 5}),
    "proto_hyper": Setting({"kind": "proto_hyper", "rank": 4}),
    "proto_hyper, contrast: 0": Setting({"kind": "proto_hyper", "rank": 4, "contrast": 0}),
}
MODELS = {"decoder": "gpt2", "encoder": "bert", "encoder-decoder": "bart", VISION: "vit"}
TITLES = {
    "decoder": "Decoder (GPT-2)",
    "encoder": "Encoder (BERT)",
    "encoder-decoder": "Encoder-decoder (BART)",
    VISION: "Vision tower (ViT of timm)",
}


@cache
def _frozen(model: str) -> nn.Module:
    if model != VISION:
        return tiny(MODELS[model])
    torch.manual_seed(0)
    return timm.create_model(
        "vit_tiny_patch16_224", img_size=32, embed_dim=WIDTH, depth=2, num_heads=3, num_classes=0
    ).eval()


def _fresh(model: str) -> nn.Module:
    return copy.deepcopy(_frozen(model))


def _batch(model: str) -> dict[str, Tensor]:
    if model == VISION:
        return {"x": torch.randn(ROWS, 3, 32, 32, generator=torch.Generator().manual_seed(1))}
    return inputs(MODELS[model], batch=ROWS)


def _attached(setting: Setting, model: str, *, random: bool = False, base: nn.Module | None = None) -> Routed:
    torch.manual_seed(5)
    routed = attach(base or _fresh(model), setting.config(model), unfreeze=setting.unfreeze, tasks=TASKS)
    if random:
        _randomise(routed)
    return routed


@torch.no_grad()
def _randomise(routed: Routed) -> None:
    generator = torch.Generator().manual_seed(6)
    for parameter in routed.model.parameters():
        if parameter.requires_grad:
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.1)


def _run(
    routed: Routed, batch: Mapping[str, Tensor], visual: Tensor | None = None, added: list[Tensor] | None = None
) -> Tensor:
    """The outputs for every task, (…, B, T, ·). What the bottlenecks add to the loss is appended to `added`."""
    found = []
    ids = batch.get("input_ids")  # the first two positions stand for an image
    codes = None if ids is None else torch.full_like(ids, TEXT).index_fill(1, torch.tensor([0, 1]), IMAGE)
    for task in routed.tasks or (None,):
        with routed.look_at(visual, modality=codes, task=task):
            out = routed.model(**batch)
        found.append(out if isinstance(out, Tensor) else out[0])
        if added is not None and (loss := routed.auxiliary_loss()) is not None:
            added.append(loss)
    return torch.stack(found)


def _step(routed: Routed, batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    """The outputs, and the loss of a training step."""
    added: list[Tensor] = []
    out = _run(routed, batch, added=added)
    return out, torch.stack([out.float().pow(2).mean(), *added]).sum()


def _own_parameters(routed: Routed) -> list[nn.Parameter]:
    return [parameter for parameter in routed.model.parameters() if parameter.requires_grad]


def _gradients(routed: Routed, batch: Mapping[str, Tensor]) -> list[Tensor | None]:
    for parameter in _own_parameters(routed):
        parameter.grad = None
    _step(routed, batch)[1].backward()
    return [parameter.grad for parameter in _own_parameters(routed)]


def _close(first: list[Tensor | None], second: list[Tensor | None]) -> bool:
    return len(first) == len(second) > 0 and all(
        (a is None and b is None) or (a is not None and b is not None and torch.allclose(a, b, atol=1e-5, rtol=1e-4))
        for a, b in zip(first, second, strict=True)
    )


def trains(setting: Setting, model: str) -> bool:
    """After an optimizer step every trainable parameter has a gradient that is not zero."""
    routed, batch = _attached(setting, model), _batch(model)
    _gradients(routed, batch)
    torch.optim.AdamW(_own_parameters(routed), lr=1e-2).step()
    used = [p for p, grad in zip(_own_parameters(routed), _gradients(routed, batch), strict=True) if grad is not None]
    needless = {id(p) for name, p in routed.model.named_parameters() if _has_no_effect(name)}
    return len(used) > 0 and all(
        p.grad is not None and bool(p.grad.abs().sum() > 0) for p in _own_parameters(routed) if id(p) not in needless
    )


def _has_no_effect(name: str) -> bool:
    """Parameters of the frozen models on which the outputs do not depend: BERT's pooler, and biases of keys, which
    softmax cancels."""
    return name.startswith("pooler.") or name.endswith(("key.bias", "k_proj.bias"))


def starts_frozen(setting: Setting, model: str) -> bool:
    """The outputs of step 0 are the frozen model's."""
    batch = _batch(model)
    before = _frozen(model)(**batch)
    found = _run(_attached(setting, model), batch)
    return bool(torch.allclose(found, before if isinstance(before, Tensor) else before[0], atol=1e-6))


def merges(setting: Setting, model: str) -> bool:
    """`Routed.merge` gives a model without bottlenecks and with the same outputs."""
    routed, batch = _attached(setting, model, random=True), _batch(model)
    before = _run(routed, batch)[0]
    try:
        merged = routed.merge()(**batch)
    except ValueError:
        return False
    return bool(torch.allclose(merged if isinstance(merged, Tensor) else merged[0], before, atol=1e-5))


def bfloat16(setting: Setting, model: str) -> bool:
    """With a frozen model in bfloat16: outputs in bfloat16, and finite gradients in every bottleneck."""
    routed = _attached(setting, model, base=_fresh(model).bfloat16())
    batch = {key: value.bfloat16() if value.is_floating_point() else value for key, value in _batch(model).items()}
    out, loss = _step(routed, batch)
    loss.backward()
    gradients = [p.grad for b in routed.bottlenecks.values() for p in b.parameters() if p.requires_grad]
    return out.dtype == torch.bfloat16 and all(g is not None and bool(g.isfinite().all()) for g in gradients)


def checkpoints(setting: Setting, model: str) -> bool:
    """The gradients with activation checkpointing are those without."""
    batch = _batch(model)
    plain = _gradients(_attached(setting, model, random=True), batch)
    routed = _attached(setting, model, random=True)
    if model == VISION:
        routed.model.set_grad_checkpointing(True)  # type: ignore[operator]
    else:
        enable_gradient_checkpointing(routed.model)  # type: ignore[arg-type]
    for module in routed.model.modules():
        if getattr(module, "gradient_checkpointing", False):
            module.training = True  # the dropout inside stays off
    try:
        return _close(plain, _gradients(routed, batch))
    except RuntimeError:  # timm recomputes outside of `look_at`
        return False


def saves(setting: Setting, model: str) -> bool:
    """A saved artifact gives the same outputs on a fresh model."""
    routed, batch = _attached(setting, model, random=True), _batch(model)
    with tempfile.TemporaryDirectory() as folder:
        routed.save(folder)
        return torch.equal(_run(load(folder, _fresh(model)), batch), _run(routed, batch))


def routes(setting: Setting, model: str) -> bool:
    """A routing function is accepted, and the outputs depend on the image."""
    try:
        routed = attach(_fresh(model), setting.config(model, routing="mul"), unfreeze=(), tasks=TASKS)
    except ValueError:
        return False
    _randomise(routed)
    one, other = (torch.randn(ROWS, 2, WIDTH, generator=torch.Generator().manual_seed(n)) for n in (1, 2))
    with torch.no_grad():
        return not torch.allclose(_run(routed, _batch(model), one), _run(routed, _batch(model), other), atol=1e-6)


PROBES: dict[str, Callable[[Setting, str], bool]] = {
    "trains": trains,
    "step 0 = frozen": starts_frozen,
    "mergeable": merges,
    "bfloat16": bfloat16,
    "checkpointing": checkpoints,
    "save and load": saves,
    "routing": routes,
}
DDP = "DDP"


@dataclass
class Tried:
    """What was found: `answers[model][setting]` is a dictionary of the probes, or why the setting is refused."""

    answers: dict[str, dict[str, dict[str, bool] | str]] = field(default_factory=dict)


def refusal(setting: Setting, model: str) -> str:
    """Why the setting cannot be attached to the model; empty where it can."""
    try:
        _attached(setting, model)
    except ValueError as error:
        return str(error)
    return ""


def try_all() -> Tried:
    """Every probe of every setting on every model."""
    tried, ddp = Tried(), _in_processes()
    for model in MODELS:
        lines = tried.answers.setdefault(model, {})
        for name, setting in SETTINGS.items():
            if reason := refusal(setting, model):
                lines[name] = reason
                continue
            found = {title: probe(setting, model) for title, probe in PROBES.items()}
            lines[name] = {**found, DDP: ddp[model][name]}
    return tried


def _in_processes() -> dict[str, dict[str, bool]]:
    """Whether two processes with half of the rows each get the gradients of one with all; one pair of them for all."""
    with socket.socket() as free, tempfile.TemporaryDirectory() as folder:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        result = Path(folder) / "ddp.json"
        shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(PROCESSES)}
        workers = [
            subprocess.Popen(
                [sys.executable, "-m", "tests.kinds_table", str(result)],
                env={**os.environ, **shared, "RANK": str(rank), "OMP_NUM_THREADS": "1"},
            )
            for rank in range(PROCESSES)
        ]
        codes = [worker.wait() for worker in workers]
        assert codes == [0] * PROCESSES, codes
        found: dict[str, dict[str, bool]] = json.loads(result.read_text())
    return found


@contextmanager
def _group() -> Iterator[int]:
    torch.distributed.init_process_group("gloo")
    try:
        yield torch.distributed.get_rank()
    finally:
        torch.distributed.destroy_process_group()


def _work(result: Path) -> None:
    """What one of the processes does. The gradients of one process are computed outside of the group, or bottlenecks
    would take part in what the other one does."""
    tried = [(model, name) for model in MODELS for name, setting in SETTINGS.items() if not refusal(setting, model)]
    whole = {each: _gradients(_attached(SETTINGS[each[1]], each[0], random=True), _batch(each[0])) for each in tried}
    found: dict[str, dict[str, bool]] = {model: {} for model in MODELS}
    with _group() as rank:
        for model, name in tried:
            found[model][name] = _close(whole[model, name], _distributed(SETTINGS[name], model, rank))
    if rank == 0:
        result.write_text(json.dumps(found))


def _distributed(setting: Setting, model: str, rank: int) -> list[Tensor | None]:
    """The gradients of a process with half of the rows."""
    routed = _attached(setting, model, random=True)
    # Of frozen parameters that the outputs do not depend on, DDP has to be told.
    unused = bool(setting.unfreeze) or bool(routed.tasks)
    parallel = nn.parallel.DistributedDataParallel(_Loss(routed), find_unused_parameters=unused)
    part = {key: value.chunk(PROCESSES)[rank] for key, value in _batch(model).items()}
    parallel(part).backward()
    return [parameter.grad for parameter in _own_parameters(routed)]


class _Loss(nn.Module):
    """The whole step in one forward pass, as DDP wants it."""

    def __init__(self, routed: Routed) -> None:
        super().__init__()
        self.model, self._routed = routed.model, (routed,)

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        """The loss, a scalar."""
        return _step(self._routed[0], batch)[1]


INTRODUCTION = """# What every kind of bottleneck can do

Nothing in these tables is written by hand: `python -m tests.kinds_table > docs/kinds.md` tries every kind on small
random models, and a test fails where this page is not what trying gives. `vlrouting explain bottleneck`
says what the keys mean.

- **trains**: after one optimizer step, every trainable parameter has a gradient that is not zero.
- **step 0 = frozen**: the outputs before the first step are those of the frozen model.
- **mergeable**: `Routed.merge` gives the same outputs without the bottlenecks (without routing; a routed one depends on
  the image).
- **bfloat16**: on a frozen model in bfloat16, outputs are bfloat16 and all gradients finite.
- **checkpointing**: activation checkpointing changes no gradient. In the vision tower it is timm's own, which
  recomputes outside of `look_at`: a bottleneck per task does not know its task there.
- **save and load**: an artifact gives the same outputs on a fresh model.
- **routing**: a routing function is accepted, and the outputs depend on the image.
- **DDP**: two processes with half of the batch each get the gradients of one process.
"""


def page(tried: Tried) -> str:
    """docs/kinds.md."""
    columns = [*PROBES, DDP]
    parts = [INTRODUCTION]
    for model, lines in tried.answers.items():
        parts.append(f"## {TITLES[model]}\n")
        parts.append("| kind | " + " | ".join(columns) + " |\n|---|" + ":-:|" * len(columns))
        refused = {}
        for name, found in lines.items():
            if isinstance(found, str):
                refused[name] = found
                continue
            cells = " | ".join("yes" if found[column] else "no" for column in columns)
            parts.append(f"| {name} | {cells} |")
        parts.append("")
        parts += [f"- `{name}` is refused: {reason}." for name, reason in refused.items()]
        parts += [""] if refused else []
    return "\n".join(parts).rstrip("\n") + "\n"


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    if len(sys.argv) > 1:
        _work(Path(sys.argv[1]))
    else:
        print(page(try_all()), end="")
