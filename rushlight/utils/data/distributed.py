"""Home of `DistributedSampler` in PyTorch's layout: `torch.utils.data.distributed`."""

from .sampler import DistributedSampler as DistributedSampler

__all__ = ["DistributedSampler"]
