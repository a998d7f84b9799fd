"""`torch.distributed.algorithms`: wrappers that large models are trained with.

In: modules. Out: wrapped modules. Invariant: see the files.
"""
