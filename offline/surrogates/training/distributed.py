"""One process or several: the few things that training asks of its process group.

`torchrun` starts the processes and tells each its number through the environment; without it there
is one process and nothing here communicates.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import distributed, nn

from matnet.errors import ParameterError

__all__ = ["Group", "process_group"]


@dataclass(frozen=True, slots=True)
class Group:
    """This process among those that train together."""

    rank: int
    world: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this process writes the files."""
        return self.rank == 0

    def wrapped(self, module: nn.Module) -> nn.Module:
        """The module, in several processes with gradients averaged over them."""
        if self.world == 1:
            return module
        ids = [self.device.index] if self.device.type == "cuda" else None
        return nn.parallel.DistributedDataParallel(module, device_ids=ids)

    def mean(self, values: Sequence[float]) -> list[float]:
        """The mean of each number over the processes."""
        if self.world == 1:
            return [float(value) for value in values]
        tensor = torch.tensor(values, dtype=torch.float64, device=self.device)
        distributed.all_reduce(tensor)
        return [float(value) for value in (tensor / self.world).tolist()]

    def from_first(self, value: Any) -> Any:
        """What the first process has."""
        if self.world == 1:
            return value
        box = [value]
        distributed.broadcast_object_list(box, src=0, device=self.device)
        return box[0]


@contextmanager
def process_group(device: str) -> Iterator[Group]:
    """The group that the environment describes: NCCL between GPUs, Gloo between CPU processes.

    Raises
    ------
    ParameterError
        CUDA is asked for and there is none.
    """
    world, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    chosen = _device(device)
    ours = world > 1 and not distributed.is_initialized()
    if ours:
        distributed.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
    try:
        yield Group(rank, world, chosen)
        if ours:
            distributed.barrier()  # a process that leaves early takes its connections with it
    finally:
        if ours:
            distributed.destroy_process_group()


def _device(name: str) -> torch.device:
    there = torch.cuda.is_available()
    if name == "cuda" and not there:
        raise ParameterError("device is 'cuda', but torch finds no GPU. Take auto or cpu.")
    if name == "cpu" or not there:
        return torch.device("cpu")
    index = int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count()
    torch.cuda.set_device(index)
    return torch.device("cuda", index)
