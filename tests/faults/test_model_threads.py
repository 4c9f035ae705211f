"""One model in several threads and async tasks at once: each forward pass sees its own image."""

from __future__ import annotations

import asyncio
import copy
import pickle
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor, nn

from tests.tiny_models import WIDTH, batch_of, images, inputs, tiny
from vlrouting.bottleneck import BottleneckConfig, Routed, attach
from vlrouting.bottleneck.context import ContextSlot
from vlrouting.config import GenerateConfig, ModelConfig
from vlrouting.models.decoder import Decoder

THREADS, ROUNDS = 4, 20
CONFIGS = {
    "lora": BottleneckConfig("lora", rank=4, routing="mul"),
    "cross_attention": BottleneckConfig("lora", rank=4, routing="cross_attention"),
    "parallel adapter": BottleneckConfig("adapter", rank=4, routing="gram", position="parallel"),
    "parallel adapter, no image": BottleneckConfig("adapter", rank=4, position="parallel"),
}


def trained(config: BottleneckConfig, family: str = "bert") -> Routed:
    torch.manual_seed(3)
    routed = attach(tiny(family), config)
    for bottleneck in routed.bottlenecks.values():
        nn.init.normal_(bottleneck.up.weight, std=0.3)
    return routed


@torch.no_grad()
def output(routed: Routed, seed: int) -> Tensor:
    with routed.look_at(images(seed=seed)):
        return routed.model(**inputs("bert", seed=seed))[0]


def in_threads(work: Callable[[int], object]) -> list[object]:
    """The results of four threads that start together; an exception of theirs is raised here."""
    together = threading.Barrier(THREADS)

    def start(number: int) -> object:
        together.wait()
        return work(number)

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(start, range(THREADS)))


@pytest.mark.parametrize("case", CONFIGS)
def test_four_threads_see_their_own_images(case: str) -> None:
    routed = trained(CONFIGS[case])
    expected = [output(routed, seed) for seed in range(THREADS)]
    assert len({float(each.sum()) for each in expected}) == THREADS
    found = in_threads(lambda seed: [output(routed, seed) for _ in range(ROUNDS)])
    wrong = sum(not torch.equal(out, expected[seed]) for seed, outs in enumerate(found) for out in outs)
    assert wrong == 0


def test_async_tasks_see_their_own_images() -> None:
    routed = trained(CONFIGS["lora"])
    expected = [output(routed, seed) for seed in range(THREADS)]

    async def task(seed: int) -> list[Tensor]:
        found = []
        for _ in range(3):
            with routed.look_at(images(seed=seed)):
                await asyncio.sleep(0)  # the other tasks open their own image here
                found.append(routed.model(**inputs("bert", seed=seed))[0].detach())
                # A thread that is started from here belongs to this task.
                found.append(await asyncio.to_thread(lambda: routed.model(**inputs("bert", seed=seed))[0].detach()))
        return found

    async def all_tasks() -> list[list[Tensor]]:
        return await asyncio.gather(*(task(seed) for seed in range(THREADS)))

    for seed, outs in enumerate(asyncio.run(all_tasks())):
        for out in outs:
            torch.testing.assert_close(out, expected[seed])


def test_a_plain_thread_inside_of_look_at_is_refused_by_name() -> None:
    routed = trained(CONFIGS["lora"])
    with routed.look_at(images()), ThreadPoolExecutor(1) as pool:
        running = pool.submit(lambda: routed.model(**inputs("bert")))
        with pytest.raises(RuntimeError, match=r"layer\.0\.attention\.self\.query.*look_at.*in the same thread"):
            running.result()


@pytest.mark.parametrize("checkpointing", [None, False, True], ids=["none", "not reentrant", "reentrant"])
def test_gradients_of_four_threads_that_run_backward_after_look_at(checkpointing: bool | None) -> None:
    """Also with recomputation in another thread than the forward pass, as autograd does on a GPU."""
    routed = trained(CONFIGS["lora"])
    if checkpointing is not None:
        options = {"use_reentrant": checkpointing}
        routed.model.gradient_checkpointing_enable(gradient_checkpointing_kwargs=options)
    routed.model.train()
    for module in routed.model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0

    def gradient(seed: int) -> Tensor:
        visual = images(seed=seed).requires_grad_()
        with routed.look_at(visual):
            loss = routed.model(**inputs("bert", seed=seed))[0].pow(3).mean()
        backward = threading.Thread(target=loss.backward)
        backward.start()
        backward.join()
        assert visual.grad is not None
        return visual.grad

    expected = [gradient(seed) for seed in range(THREADS)]
    for seed, found in enumerate(in_threads(gradient)):
        torch.testing.assert_close(found, expected[seed])
        assert found.abs().max() > 1e-4


def test_texts_generated_in_four_threads() -> None:
    torch.manual_seed(1)
    model = Decoder(attach(tiny("gpt2"), CONFIGS["lora"]), (2, WIDTH), ModelConfig()).eval()
    for bottleneck in model.routed.bottlenecks.values():
        nn.init.normal_(bottleneck.up.weight, std=0.4)

    def generate(seed: int) -> list[list[int]]:
        empty = torch.zeros(3, 0, dtype=torch.int64)
        batch = batch_of(empty, empty.clone(), visual=images(seed=seed))
        return model.generate(batch, GenerateConfig(max_new_tokens=6, beams=2), 2).tolist()

    expected = [generate(seed) for seed in range(THREADS)]
    assert len({str(each) for each in expected}) > 1
    assert in_threads(generate) == expected


def test_a_copied_slot_is_empty_and_its_own() -> None:
    routed = trained(CONFIGS["lora"])
    with routed.look_at(images()) as context:
        for twin in (copy.deepcopy(routed), pickle.loads(pickle.dumps(routed))):
            assert routed._slot.current is context and twin._slot.current is None
            assert {bottleneck.slot for bottleneck in twin.bottlenecks.values()} == {twin._slot}
            torch.testing.assert_close(output(twin, 5), output(routed, 5))
    assert isinstance(routed._slot, ContextSlot) and routed._slot.current is None
