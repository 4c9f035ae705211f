import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.tiny_models import images, inputs, tiny
from vlrouting.bottleneck import ArtifactError, BottleneckConfig, Routed, attach, load

CONFIGS = {
    "lora": BottleneckConfig("lora", rank=4, alpha=8, routing="mul", targets=["query", "*.output.dense"], layers=[1],
                             shared_down=False),
    "adapter": BottleneckConfig("adapter", rank=4, routing="cross_attention", position="pre_norm"),
}  # fmt: skip


def trained(config: BottleneckConfig) -> Routed:
    routed = attach(tiny("bert"), config)
    torch.manual_seed(4)
    with torch.no_grad():
        for parameter in routed.model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter) * 0.2)
    return routed


def logits(routed: Routed) -> torch.Tensor:
    with torch.no_grad(), routed.look_at(images()):
        return routed.model(**inputs("bert"))[0]


@pytest.mark.parametrize("case", CONFIGS)
def test_round_trip_on_a_fresh_backbone(case: str, tmp_path: Path) -> None:
    routed = trained(CONFIGS[case])
    routed.save(tmp_path)
    again = load(tmp_path, tiny("bert"))
    assert again.configs == {"bottleneck": CONFIGS[case]}
    assert torch.equal(logits(again), logits(routed))
    stored = load_file(tmp_path / "adapter_model.safetensors")
    assert sum(tensor.numel() for tensor in stored.values()) == routed.trainable_parameters
    frozen = {name for name, p in routed.model.named_parameters() if not p.requires_grad}
    assert not frozen & stored.keys()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["adapter_config.json", "adapter_model.safetensors"]


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    trained(CONFIGS["adapter"]).save(tmp_path)
    return tmp_path


def change_config(artifact: Path, **changes: object) -> None:
    file = artifact / "adapter_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def change_tensors(artifact: Path, how: str) -> None:
    change_config(artifact, tensors_sha256=None)  # as in artifacts of earlier versions
    file = artifact / "adapter_model.safetensors"
    tensors = load_file(file)
    name = next(iter(tensors))
    if how == "missing":
        del tensors[name]
    elif how == "unexpected":
        tensors["pooler.dense.weight"] = torch.zeros(2)
    else:
        tensors[name] = torch.zeros(1, 2, 3)
    save_file(tensors, file)


@pytest.mark.parametrize("how", ["missing", "unexpected", r"is \(1, 2, 3\), the model has"])
def test_a_key_too_few_too_many_or_of_another_shape(artifact: Path, how: str) -> None:
    change_tensors(artifact, how)
    model = tiny("bert")
    with pytest.raises(ArtifactError, match=how):
        load(artifact, model)
    assert list(model.state_dict()) == list(tiny("bert").state_dict())


def test_damaged_and_missing_files(artifact: Path) -> None:
    config, tensors = artifact / "adapter_config.json", artifact / "adapter_model.safetensors"
    whole = config.read_text()
    config.write_text(whole[: len(whole) // 2])
    with pytest.raises(ArtifactError, match="damaged artifact"):
        load(artifact, tiny("bert"))
    config.write_text(json.dumps({**json.loads(whole), "schema_version": 99}))
    with pytest.raises(ArtifactError, match="schema_version 99, this version reads 1"):
        load(artifact, tiny("bert"))
    config.write_text(whole)
    shutil.copy(tensors, artifact / "copy")
    tensors.write_bytes(tensors.read_bytes()[:100])
    with pytest.raises(ArtifactError, match="damaged artifact"):
        load(artifact, tiny("bert"))
    tensors.unlink()
    with pytest.raises(ArtifactError, match=r"adapter_model\.safetensors: no such file"):
        load(artifact, tiny("bert"))


def test_another_backbone_is_warned_of(artifact: Path) -> None:
    model = tiny("bert")
    model.config._name_or_path = "somebody/else"
    with pytest.warns(UserWarning, match=r"loaded onto 'somebody/else'"):
        load(artifact, model)
