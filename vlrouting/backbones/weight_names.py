"""Weights of other code bases under the names that timm has for the same tensors."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from torch import Tensor

_OUTER = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
# A block without expansion has two convolutions, any other three; timm numbers the batch norms after them.
_PLAIN_BLOCK = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
_EXPANDING_BLOCK = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}


def is_efficientnet_pytorch(names: Iterable[str]) -> bool:
    """Whether the names are those of the EfficientNet-PyTorch code base."""
    return "_conv_stem.weight" in set(names)


def efficientnet_to_timm(weights: Mapping[str, Tensor], timm_names: Iterable[str]) -> dict[str, Tensor]:
    """Rename the tensors of an EfficientNet(-Lite) of the EfficientNet-PyTorch code base.

    That code base counts blocks through (`_blocks.7`), timm by stage (`blocks.3.1`), both in order of depth.
    Names without a counterpart are kept, so that loading reports them.
    """
    stages = sorted({(int(m[1]), int(m[2])) for n in timm_names if (m := re.match(r"blocks\.(\d+)\.(\d+)\.", n))})
    expanding = {name.split(".")[1] for name in weights if "._expand_conv." in name}
    renamed = {}
    for name, tensor in weights.items():
        match = re.match(r"_blocks\.(\d+)\.(\w+)\.(.+)", name)
        if match and int(match[1]) < len(stages):
            table = _EXPANDING_BLOCK if match[1] in expanding else _PLAIN_BLOCK
            stage, index = stages[int(match[1])]
            renamed[f"blocks.{stage}.{index}.{table.get(match[2], match[2])}.{match[3]}"] = tensor
        else:
            layer, _, rest = name.partition(".")
            renamed[f"{_OUTER.get(layer, layer)}.{rest}"] = tensor
    return renamed
