import pytest
import torch
from torch import Tensor
from torch._dynamo.testing import CompileCounter

from tests.tiny_models import WIDTH, images, inputs, tiny
from vlrouting.bottleneck import BottleneckConfig, ForwardContext, Routed, attach
from vlrouting.bottleneck.context import IMAGE, TEXT

RANK = 4


def trained(family: str, config: BottleneckConfig) -> Routed:
    """A routed model whose `up` is not zero any more."""
    torch.manual_seed(3)
    routed = attach(tiny(family), config)
    for bottleneck in routed.bottlenecks.values():
        torch.nn.init.normal_(bottleneck.up.weight, std=0.3)
    return routed


def gradients(routed: Routed, family: str, inside: bool) -> dict[str, Tensor]:
    visual = images().requires_grad_()
    with routed.look_at(visual):
        loss = routed.model(**inputs(family))[0].pow(2).mean()
        if inside:
            loss.backward()
    if not inside:
        loss.backward()
    found = {name: p.grad.clone() for name, p in routed.model.named_parameters() if p.grad is not None}
    routed.model.zero_grad()
    assert visual.grad is not None
    return {**found, "visual": visual.grad}


@pytest.mark.parametrize("reentrant", [False, True])
@pytest.mark.parametrize("family", ["bert", "gpt2", "bart", "t5", "llama"])
@pytest.mark.parametrize(
    "config",
    [
        BottleneckConfig("lora", rank=RANK, routing="mul"),
        BottleneckConfig("adapter", rank=RANK, routing="gram", shared=True),
    ],
    ids=["lora", "adapter"],
)
def test_gradients_with_and_without_checkpointing(family: str, config: BottleneckConfig, reentrant: bool) -> None:
    routed = trained(family, config)
    for module in routed.model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        if isinstance(getattr(module, "dropout", None), float):
            module.dropout = 0.0
    routed.model.train()
    plain = gradients(routed, family, inside=True)
    routed.model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": reentrant})
    for inside in (True, False):  # the backward pass may run after look_at has ended
        recomputed = gradients(routed, family, inside)
        assert recomputed.keys() == plain.keys()
        for name, gradient in plain.items():
            # A norm's scale under a loss of squares has a gradient of nearly zero.
            torch.testing.assert_close(
                recomputed[name], gradient, atol=1e-5, rtol=1e-4, msg=lambda text, name=name: f"{name}: {text}"
            )


def test_checkpointing_recomputes_with_the_image_of_its_own_forward() -> None:
    routed = trained("bert", BottleneckConfig("lora", rank=RANK, routing="mul"))
    routed.model.train()

    def two_forwards() -> dict[str, Tensor]:
        total = torch.zeros(())
        for seed in (5, 6):
            with routed.look_at(images(seed=seed)):
                total = total + routed.model(**inputs("bert"))[0].pow(2).mean()
        total.backward()
        return {name: p.grad.clone() for name, p in routed.model.named_parameters() if p.grad is not None}

    for module in routed.model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    plain = two_forwards()
    routed.model.zero_grad()
    routed.model.gradient_checkpointing_enable()
    for name, gradient in two_forwards().items():
        torch.testing.assert_close(gradient, plain[name])


@pytest.fixture
def projections(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Counts how often an image is projected."""
    calls: list[int] = []
    project = ForwardContext._project

    def counted(self: ForwardContext) -> None:
        calls.append(1)
        project(self)

    monkeypatch.setattr(ForwardContext, "_project", counted)
    return calls


def test_the_image_is_projected_once_per_generate_call(projections: list[int]) -> None:
    routed = trained("gpt2", BottleneckConfig("lora", rank=RANK, routing="mul"))
    with routed.look_at(images(1)):
        ids = inputs("gpt2", batch=1)
        out = routed.model.generate(**ids, max_new_tokens=8, min_new_tokens=8, do_sample=False, pad_token_id=1)
    assert out.shape[1] == ids["input_ids"].shape[1] + 8
    assert len(projections) == 1


def test_the_image_is_projected_anew_for_every_training_forward(projections: list[int]) -> None:
    routed = trained("bert", BottleneckConfig("lora", rank=RANK, routing="mul"))
    optimizer = torch.optim.SGD([p for p in routed.model.parameters() if p.requires_grad], lr=0.1)
    losses = []
    with routed.look_at(images()):
        for _ in range(3):
            loss = routed.model(**inputs("bert"))[0].pow(2).mean()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        assert len(projections) == 3
        with torch.no_grad():  # the weights have moved since the last projection
            inside = routed.model(**inputs("bert"))[0]
    with torch.no_grad(), routed.look_at(images()):
        torch.testing.assert_close(routed.model(**inputs("bert"))[0], inside)
    assert len(set(losses)) == 3


@pytest.mark.parametrize("moved", ["down.weight", "down.bias", "image_down.weight"])
def test_after_the_weights_have_moved_the_image_is_projected_anew(moved: str) -> None:
    """Whatever part of the projection has moved, the outputs are those of a new `look_at`."""
    config = BottleneckConfig("adapter", rank=RANK, routing="mul", shared_down=not moved.startswith("image"))
    routed = trained("bert", config)
    with torch.no_grad(), routed.look_at(images()):
        before = routed.model(**inputs("bert"))[0]
        for bottleneck in routed.bottlenecks.values():
            bottleneck.get_parameter(moved).add_(0.5)
        inside = routed.model(**inputs("bert"))[0]
    with torch.no_grad(), routed.look_at(images()):
        anew = routed.model(**inputs("bert"))[0]
    assert torch.equal(inside, anew)
    assert (inside - before).abs().max() > 0.1


def test_two_passes_in_one_look_at_have_the_gradients_of_both() -> None:
    routed = trained("bert", BottleneckConfig("lora", rank=RANK, routing="mul"))

    def passes(count: int) -> dict[str, Tensor]:
        routed.model.zero_grad()
        with routed.look_at(images()):
            for _ in range(count):
                routed.model(**inputs("bert"))[0].pow(3).mean().backward()  # frees its graph
        return {name: p.grad.clone() for name, p in routed.model.named_parameters() if p.grad is not None}

    once, twice = passes(1), passes(2)
    assert once.keys() == twice.keys() and max(float(gradient.abs().max()) for gradient in once.values()) > 1e-3
    for name, gradient in once.items():
        torch.testing.assert_close(twice[name], 2 * gradient)


def test_a_forward_with_gradients_after_one_without_still_trains_through_the_image() -> None:
    routed = trained("bert", BottleneckConfig("lora", rank=RANK, routing="mul"))
    visual = images().requires_grad_()
    with torch.no_grad():
        scope = routed.look_at(visual)
        scope.__enter__()
    routed.model(**inputs("bert"))[0].pow(2).mean().backward()
    scope.__exit__(None, None, None)
    assert visual.grad is not None and visual.grad.abs().max() > 0


def test_one_batched_product_equals_every_bottlenecks_own() -> None:
    for config in (
        BottleneckConfig("adapter", rank=RANK, routing="mul"),
        BottleneckConfig("lora", rank=RANK, routing="mul", shared_down=False),
    ):
        routed = trained("bert", config)
        visual = images(visual_tokens=3)
        with routed.look_at(visual) as context:
            for name, bottleneck in routed.bottlenecks.items():
                own = bottleneck.image_projection
                assert own is not None
                torch.testing.assert_close(context.projected[name], own(visual))


def test_bf16_model_with_float32_bottlenecks_and_autocast() -> None:
    routed = trained("bert", BottleneckConfig("lora", rank=RANK, routing="mul"))
    with torch.no_grad(), routed.look_at(images()):
        reference = routed.model(**inputs("bert"))[0]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            autocast = routed.model(**inputs("bert"))[0]
    torch.testing.assert_close(autocast.float(), reference, atol=0.1, rtol=0.1)
    for name, parameter in routed.model.named_parameters():
        if "bottleneck" not in name:
            parameter.data = parameter.data.bfloat16()
    with torch.no_grad(), routed.look_at(images().bfloat16()):
        half = routed.model(**inputs("bert"))[0]
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), reference, atol=0.1, rtol=0.1)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["lora", "adapter"])
def test_torch_compile_gives_the_same_outputs_in_two_graphs(kind: str) -> None:
    """One for the image and one for the model, however many images follow each other."""
    keys = {"position": "parallel"} if kind == "adapter" else {}
    routed = trained("bert", BottleneckConfig(kind, rank=RANK, routing="mul", **keys))
    torch.compiler.reset()
    counter = CompileCounter()
    compiled = torch.compile(routed.model, backend=counter)
    for seed in range(4):
        with torch.no_grad(), routed.look_at(images(seed=seed)):
            plain = routed.model(**inputs("bert"))[0]
            torch.testing.assert_close(compiled(**inputs("bert"))[0], plain)
    if hasattr(torch._dynamo.source, "ContextVarGetSource"):  # older versions break the graph at every bottleneck
        assert counter.frame_count == 2


def test_the_image_changes_the_text() -> None:
    routed = trained("bert", BottleneckConfig("lora", rank=RANK, routing="mul"))
    with torch.no_grad(), routed.look_at(images(visual_tokens=1)):
        one = routed.model(**inputs("bert"))[0]
    with torch.no_grad(), routed.look_at(torch.zeros(3, 1, WIDTH)):
        nothing = routed.model(**inputs("bert"))[0]
    assert (one - nothing).abs().max() > 1e-3


@torch.no_grad()
def test_the_modality_of_what_is_read_follows_the_sequence() -> None:
    """With a cache, without one, and for a head that reads the end of it; also where both are one token."""
    routed = trained("gpt2", BottleneckConfig("lora", rank=RANK))
    seen: list[list[int]] = []
    ids = inputs("gpt2", batch=1)["input_ids"]

    def note(*_: object) -> None:
        seen.append(context.modality_for(2, 1 if len(seen) else 6)[0].tolist())  # type: ignore[index]

    for known in ([IMAGE], [IMAGE, IMAGE, TEXT, TEXT, TEXT, TEXT]):
        seen.clear()
        with routed.look_at(images(1), modality=torch.tensor([known])) as context:
            assert context.modality_for(1, 1)[0].tolist() == known[-1:]  # type: ignore[index]
            hook = routed.model.transformer.h[0].register_forward_pre_hook(note)  # type: ignore[union-attr, operator]
            routed.model.generate(ids, max_new_tokens=3, do_sample=False, pad_token_id=1, eos_token_id=49)
            hook.remove()
        assert seen == [[*known, *[TEXT] * (6 - len(known))], [TEXT], [TEXT]]
