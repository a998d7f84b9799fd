"""Which module of ours stands at which of PyTorch's module names.

In: a dotted name such as `torch.nn.init`. Out: the dotted name of our module. Invariant: a child of
`torch` that is not listed here is not visible, so that rooms of ours which PyTorch does not have
never answer a probe.
"""

from __future__ import annotations

# Children of `torch` that have the same name in rushlight, with everything below them.
SAME = (
    "accelerator",
    "amp",
    "autograd",
    "backends",
    "compiler",
    "cpu",
    "cuda",
    "distributed",
    "distributions",
    "fft",
    "func",
    "futures",
    "fx",
    "hub",
    "jit",
    "library",
    "linalg",
    "masked",
    "mps",
    "multiprocessing",
    "nested",
    "nn",
    "onnx",
    "optim",
    "overrides",
    "profiler",
    "quantization",
    "random",
    "return_types",
    "serialization",
    "sparse",
    "special",
    "testing",
    "types",
    "utils",
    "xpu",
)

# PyTorch's name -> ours, where they differ. What is below follows, the longest match first.
PLACES: dict[str, str] = {
    **{f"torch.{name}": f"rushlight.{name}" for name in SAME},
    "torch._C": "rushlight.alias.private.core",
    "torch._C._nn": "rushlight.alias.private.core_nn",
    "torch._dynamo": "rushlight.alias.private.dynamo",
    "torch._jit_internal": "rushlight.jit",
    "torch._tensor": "rushlight.tensor.tensor",
    "torch._utils": "rushlight.alias.private.utils",
    "torch._subclasses.fake_tensor": "rushlight.alias.private.fake_tensor",
    "torch._subclasses": "rushlight.alias.private",
    "torch.autograd.grad_mode": "rushlight.autograd.modes",
    "torch.distributed.nn.functional": "rushlight.distributed.nn",
    "torch._dynamo.eval_frame": "rushlight.alias.private.dynamo",
    "torch.autograd.profiler": "rushlight.profiler",
    "torch.autograd.anomaly_mode": "rushlight.autograd.modes",
    "torch.cuda.random": "rushlight.cuda",
    "torch.__config__": "rushlight.alias.config",
    "torch.ops": "rushlight.alias.private.ops",
    "torch.return_types": "rushlight.tensor.return_types",
    "torch.storage": "rushlight.tensor.bits",
    "torch.torch_version": "rushlight.alias.version",
    "torch.version": "rushlight.alias.version",
    "torchvision": "rushlight.vision",
}
ROOTS = ("torch", "torchvision")


def place_of(name: str) -> str | None:
    """The dotted name of our module for a name under `torch` or `torchvision`, whether or not such
    a module exists; None where none may be seen.

    `torch.nn.init` -> `rushlight.nn.init`; `torch.engine` -> None.
    """
    head, rest = name, ""
    while head:
        if head in PLACES:
            return PLACES[head] + rest
        head, _, last = head.rpartition(".")
        rest = f".{last}{rest}"
    return None
