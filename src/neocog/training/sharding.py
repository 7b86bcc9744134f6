"""Fully sharded data parallelism (FSDP2): each rank keeps a share of every weight, gradient and optimizer state.

Zhao et al. 2023, https://arxiv.org/abs/2304.11277, as torch.distributed.fsdp.fully_shard. Checkpoints hold whole tensors, so they are
those of any other training: they load on another number of ranks.
"""

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor

PARTS = 16  # a block that holds this part of the weights, or more, is gathered by itself
METHODS = ("forward_auxiliary",)  # besides forward: what a training calls of a network


def mesh(device: torch.device) -> DeviceMesh:
    """All ranks in one dimension, each with a device of the kind of `device`."""
    return init_device_mesh(device.type, (dist.get_world_size(),))


def shard(model: nn.Module, mesh: DeviceMesh) -> None:
    """Leave each rank its share of the weights of `model`, which must be the same on all ranks; a second call changes nothing.

    Large members of `nn.Sequential` and `nn.ModuleList` are gathered one by one when their turn comes, the rest at once.
    """
    if any(isinstance(parameter, DTensor) for parameter in model.parameters()):
        return
    for block in blocks(model):
        fully_shard(block, mesh=mesh)
    fully_shard(model, mesh=mesh)
    for method in METHODS:
        if hasattr(model, method):
            register_fsdp_forward_method(model, method)


def blocks(model: nn.Module) -> list[nn.Module]:
    """What is gathered by itself, innermost first: a member of a sequence or list with enough weights that no block inside it has."""
    least = sum(parameter.numel() for parameter in model.parameters()) / PARTS
    found: list[nn.Module] = []

    def visit(module: nn.Module) -> int:
        """The weights in `module` that are in no block yet."""
        own = sum(parameter.numel() for parameter in module.parameters(recurse=False))
        for child in module.children():
            rest = visit(child)
            member = isinstance(module, nn.Sequential | nn.ModuleList) and not isinstance(child, nn.ModuleList)
            if member and rest >= least:
                found.append(child)
                rest = 0
            own += rest
        return own

    visit(model)
    return found


def whole(tensor: Tensor) -> Tensor:
    """All of a tensor of which this rank may have a share; every rank must ask."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def share_buffers(model: nn.Module) -> None:
    """Give every rank the first one's buffers: running statistics, which DDP shares as well."""
    for buffer in model.buffers():
        dist.broadcast(buffer, src=0)
