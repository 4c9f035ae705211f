"""Artifacts that were damaged, edited, or put onto other weights: one sentence, and the model is as before."""

from __future__ import annotations

import copy
import json
import random
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import nn

from tests.tiny_models import images, inputs, tiny
from vlrouting.bottleneck import ArtifactError, BottleneckConfig, Routed, attach, load
from vlrouting.bottleneck.fingerprint import other_weights, weight_fingerprint

CONFIGS = {
    "text": BottleneckConfig("lora", rank=4, alpha=8, routing="mul", layers=[1]),
    "after": BottleneckConfig("adapter", rank=3, routing="cross_attention", position="parallel"),
    "scales": BottleneckConfig("ia3"),
}


def trained() -> Routed:
    routed = attach(tiny("bert"), CONFIGS, unfreeze=["layer_norms", "embeddings.*.weight"])
    torch.manual_seed(4)
    with torch.no_grad():
        for parameter in routed.model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter) * 0.2)
    return routed


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("artifact")
    trained().save(folder)
    return folder


@pytest.fixture
def artifact(original: Path, tmp_path: Path) -> Path:
    for file in original.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    return tmp_path


def test_any_flipped_bit_of_the_tensors_is_noticed(artifact: Path) -> None:
    file = artifact / "adapter_model.safetensors"
    whole, draw, model = file.read_bytes(), random.Random(1), tiny("bert")
    for position in [*draw.sample(range(len(whole)), 60), 0, len(whole) - 1]:
        damaged = bytearray(whole)
        damaged[position] ^= 1 << draw.randrange(8)
        file.write_bytes(damaged)
        with pytest.raises(
            ArtifactError, match=r"adapter_model\.safetensors: damaged artifact.*copy the artifact again"
        ):
            load(artifact, model)
    assert list(model.state_dict()) == list(tiny("bert").state_dict())


def test_tensors_that_are_not_finite_are_neither_saved_nor_loaded(artifact: Path) -> None:
    routed = trained()
    next(iter(routed.bottlenecks.values())).up.weight.data[0, 0] = torch.inf
    with pytest.raises(ValueError, match=r"query\.bottleneck_text\.up\.weight holds NaN or an infinity"):
        routed.save(artifact / "new")
    assert not (artifact / "new").exists()
    file, config = artifact / "adapter_model.safetensors", artifact / "adapter_config.json"
    tensors = load_file(file)
    tensors["embeddings.word_embeddings.weight"][3, 3] = torch.nan
    save_file(tensors, file)
    config.write_text(json.dumps({**json.loads(config.read_text()), "tensors_sha256": None}))
    with pytest.raises(ArtifactError, match=r"embeddings\.word_embeddings\.weight holds NaN"):
        load(artifact, tiny("bert"))


def test_the_weights_that_an_artifact_was_trained_on_are_recognised(artifact: Path) -> None:
    other = tiny("bert", seed=1)
    other.config._name_or_path = "somebody/else"
    names = list(other.state_dict())
    with pytest.warns(UserWarning), pytest.raises(ArtifactError, match=r"trained on 'BertModel'.*of 'somebody/else'"):
        load(artifact, other)
    assert list(other.state_dict()) == names
    with pytest.warns(UserWarning):
        assert load(artifact, other, other_weights=True).bottlenecks
    retrained = tiny("bert")
    with torch.no_grad():  # what the artifact holds itself may differ
        retrained.embeddings.word_embeddings.weight.add_(1.0)
        retrained.encoder.layer[0].output.LayerNorm.bias.add_(1.0)
    assert load(artifact, retrained).bottlenecks
    changed = tiny("bert")
    with torch.no_grad():
        changed.encoder.layer[1].output.dense.weight[7, 5] += 1e-3
    with pytest.raises(ArtifactError, match="are not the same"):
        load(artifact, changed)
    for dtype in (torch.bfloat16, torch.float16):
        assert load(artifact, tiny("bert").to(dtype)).bottlenecks
        with pytest.raises(ArtifactError, match="are not the same"):
            load(artifact, tiny("bert", seed=1).to(dtype))


def test_artifacts_without_checksum_and_fingerprint_still_load(artifact: Path) -> None:
    file = artifact / "adapter_config.json"
    stored = json.loads(file.read_text())
    del stored["tensors_sha256"], stored["backbone"]["fingerprint"]
    file.write_text(json.dumps(stored))
    expected, found = _outputs(trained(), load(artifact, tiny("bert")))
    assert torch.equal(found, expected)


def _outputs(*several: Routed) -> list[torch.Tensor]:
    found = []
    for routed in several:
        with torch.no_grad(), routed.look_at(images()):
            found.append(routed.model(**inputs("bert"))[0])
    return found


class Quantised(nn.Parameter):
    """What a quantiser leaves of a matrix: bytes."""


def test_fingerprints_of_precisions_layouts_and_quantised_models() -> None:
    model, other = tiny("bert").requires_grad_(False), tiny("bert", seed=1).requires_grad_(False)
    whole = weight_fingerprint(model)
    assert set(whole["all"]) == {"float32", "bfloat16", "float16"}
    half = weight_fingerprint(copy.deepcopy(model).bfloat16())
    assert not other_weights(whole, half) and not other_weights(half, whole)
    assert other_weights(half, weight_fingerprint(other))
    assert not other_weights(half, weight_fingerprint(copy.deepcopy(model).half()))  # nothing in common
    turned = copy.deepcopy(model)
    for layer in turned.encoder.layer:
        weight = layer.output.dense.weight
        weight.data = weight.data.t().contiguous().t()  # the same numbers in another order in memory
    assert weight_fingerprint(turned) == whole

    def quantised(source: nn.Module) -> nn.Module:
        twin = copy.deepcopy(source)
        for layer in twin.encoder.layer:
            packed = torch.zeros(8, 3, dtype=torch.uint8)
            layer.output.dense.weight = Quantised(packed, requires_grad=False)
        return twin

    biased = copy.deepcopy(model)
    with torch.no_grad():
        biased.encoder.layer[0].output.dense.bias.add_(0.1)
    assert weight_fingerprint(quantised(model))["all"] == {}
    assert not other_weights(whole, weight_fingerprint(quantised(model)))
    assert other_weights(whole, weight_fingerprint(quantised(biased)))


def test_one_changed_value_of_a_large_matrix_shows() -> None:
    large = nn.Linear(300, 301).requires_grad_(False)
    before = weight_fingerprint(large)
    large.weight[7, 11] += 1e-6
    assert other_weights(before, weight_fingerprint(large))


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every key and index of a JSON value."""
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, below in entries:
        yield (*path, key)
        yield from paths(below, (*path, key))


BOUNDED = settings(derandomize=True, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
"""The same examples each time, and no minutes of looking for a smaller one."""
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5),
    st.sampled_from([10**12, -(10**30), 2**63, "lora", "adapter", "ia3", "none", "\ud800", "../x", "encoder", ""]),
)  # fmt: skip
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner))
MODEL = tiny("bert")
NAMES = list(MODEL.state_dict())


def refused_or_read(original: Path, content: bytes) -> str | None:
    """The sentence; None where the artifact loads. Any other exception ends the test, and so does a changed model."""
    with tempfile.TemporaryDirectory() as folder:
        for file in original.iterdir():
            (Path(folder) / file.name).write_bytes(file.read_bytes())
        (Path(folder) / "adapter_config.json").write_bytes(content)
        sentence = None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                load(folder, MODEL).detach()
            except ArtifactError as error:
                sentence = str(error)
                assert sentence.startswith(folder) and "\n" not in sentence and len(sentence) < 1000
                sentence.encode()
    assert list(MODEL.state_dict()) == NAMES
    return sentence


@settings(BOUNDED, max_examples=150)
@given(st.data())
def test_any_value_in_any_field_is_read_or_refused_in_one_sentence(original: Path, data: st.DataObject) -> None:
    config = json.loads((original / "adapter_config.json").read_text())
    *parents, last = data.draw(st.sampled_from(list(paths(config))))
    owner = config
    for key in parents:
        owner = owner[key]
    if data.draw(st.booleans(), label="leave it out"):
        del owner[last]
    else:
        owner[last] = data.draw(VALUES)
    refused_or_read(original, json.dumps(config).encode())


@settings(BOUNDED, max_examples=60)
@given(st.data())
def test_any_change_of_its_bytes_is_read_or_refused_in_one_sentence(original: Path, data: st.DataObject) -> None:
    content = bytearray((original / "adapter_config.json").read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    match data.draw(st.sampled_from(["truncate", "flip", "insert"])):
        case "truncate":
            del content[place:]
        case "flip":
            content[place] ^= data.draw(st.integers(1, 255))
        case _:
            content[place:place] = data.draw(st.binary(min_size=1, max_size=4))
    refused_or_read(original, bytes(content))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"bottlenecks": []}, r"'bottlenecks': expected an object, got \[\]"),
        ({"unfreeze": "all"}, r"'unfreeze': expected a list, got 'all'"),
        ({"places": {"text": [{"name": 7}]}}, r"'places\.text\.0\.name': expected a text, got 7"),
        ({"places": {"text": [{"name": "x", "base_layers": ["x"], "columns": []}]}}, "the model has no module 'x'"),
        ({"schema_version": 10**30}, "schema_version 1000.*reads 1 and 2"),
        ({"schema_version": True}, "schema_version True"),
        ({"visual_width": None}, "'visual_width': expected a whole number, got None"),
    ],
)
def test_what_is_said(change: dict[str, Any], said: str, artifact: Path) -> None:
    file = artifact / "adapter_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
    with pytest.raises(ArtifactError, match=said):
        load(artifact, tiny("bert"))


@pytest.mark.parametrize(
    ("name", "keys", "said"),
    [
        ("text", {"rank": 10**9}, "rank: 1000000000 is above"),
        ("text", {"rank": 50_000}, "is larger than those in"),
        ("text", {"kind": ["lora"]}, r"'bottlenecks\.text\.kind': expected a text"),
        ("text", {"kind": "lorra"}, "unknown kind of bottleneck 'lorra'.*Did you mean 'lora'"),
        ("text", {"ranks": 4}, "has no key 'ranks'"),
        ("text", {"rank": "4"}, "rank: expected.*'4'"),
        ("after", {"dropout": float("nan")}, "dropout"),
    ],
)
def test_what_is_said_of_a_bottleneck(name: str, keys: dict[str, Any], said: str, artifact: Path) -> None:
    file = artifact / "adapter_config.json"
    stored = json.loads(file.read_text())
    stored["bottlenecks"][name] |= keys
    file.write_text(json.dumps(stored))
    with pytest.raises(ArtifactError, match=said):
        load(artifact, tiny("bert"))


@pytest.mark.parametrize(
    "content", [b"", b"[" * 100_000, b'{"schema_version": ' + b"9" * 5000 + b"}", b"\xff\xfe{}", b"7"]
)
def test_no_json_at_all(content: bytes, original: Path) -> None:
    assert "adapter_config.json: " in str(refused_or_read(original, content))


def test_output_columns_that_a_projection_does_not_have(tmp_path: Path) -> None:
    attach(tiny("gpt2"), BottleneckConfig("ia3")).save(tmp_path)
    file = tmp_path / "adapter_config.json"
    stored = json.loads(file.read_text())
    stored["places"]["bottleneck"][0]["columns"] = [[0, 10**15]]
    file.write_text(json.dumps(stored))
    with pytest.raises(ArtifactError, match=r"c_attn has output columns 0 to 72, not 0 to 10000"):
        load(tmp_path, tiny("gpt2"))
