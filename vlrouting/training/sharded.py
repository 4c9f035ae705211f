"""`strategy: fsdp`: each process holds a part of every frozen block, and all trainable parameters.

The image goes through all down-projections in one product before the first block runs, so that bottlenecks cannot be
sharded; and they are small. The frozen parameters fill a GPU: PyTorch's FSDP2 shards them, gathers them block by block
for forward and backward, and exchanges no gradients. Trainable parameters go through DDP. So checkpoints and artifacts
are the same files as without sharding, on any number of devices.
"""

from __future__ import annotations

from lightning.pytorch.strategies import DDPStrategy
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor


class ShardedFrozenStrategy(DDPStrategy):
    """DDP over a model whose frozen blocks are sharded."""

    def model_to_device(self) -> None:
        """Shard the blocks one by one, so that no device ever holds them all."""
        module = self.lightning_module
        assert module is not None
        if not _sharded_names(module):
            mesh = init_device_mesh(self.root_device.type, (self.world_size,))
            for block in frozen_blocks(module):
                trained = {parameter for parameter in block.parameters() if parameter.requires_grad}
                fully_shard(block, mesh=mesh, ignored_params=trained)
            # DDP starts by sending the first process's values to all, which fails for sharded parameters.
            nn.parallel.DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(  # type: ignore[no-untyped-call]
                module, _sharded_names(module)
            )
        super().model_to_device()


def frozen_blocks(module: nn.Module) -> list[nn.Module]:
    """The repeated blocks of the backbones: the members of module lists of one class that have submodules."""
    blocks: list[nn.Module] = []
    for child in module.children():
        row = list(child.children()) if isinstance(child, (nn.ModuleList, nn.Sequential)) else []
        if len({type(block) for block in row}) == 1 and all(_is_frozen_block(block) for block in row):
            blocks += row
        else:
            blocks += frozen_blocks(child)
    return blocks


def _is_frozen_block(block: nn.Module) -> bool:
    return any(True for _ in block.children()) and any(not parameter.requires_grad for parameter in block.parameters())


def _sharded_names(module: nn.Module) -> list[str]:
    return [name for name, parameter in module.named_parameters() if isinstance(parameter, DTensor)]
