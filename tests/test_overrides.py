"""`__torch_function__`: classes and modes see what they see under PyTorch.

In: programs of their own process, since the first class that takes calls changes what the process
pays for every call. Out: their prints, compared between PyTorch and rushlight.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

SUBCLASS = """
class Loud(torch.Tensor):
    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        print(func.__name__, [kind.__name__ for kind in types], len(args))
        return super().__torch_function__(func, types, args, kwargs or {})

x = torch.ones(2, 3).as_subclass(Loud)
for _ in range(2):
    y = x + 1
print(type(y).__name__, type(y.sum()).__name__, type(x.max(1)[0]).__name__)
1 + y; 2 * x; x - 1; 1 - x; x / 2; x ** 2; -x; x @ x.t(); x > 0; x == x
torch.add(x, y); torch.cat([x, y]); torch.stack((x, x)); torch.zeros_like(x)
torch.nn.functional.relu(x); torch.nn.functional.linear(x, x); x.T
x[0]; x[0] = 1; len(x); float(x[0, 0]); bool(x.sum() > 0); x.add_(1); x += 1
torch.nn.Linear(3, 3)(x); x.detach().numpy(); torch.where(x > 0, x, 0.0); x.clone()
"""

DUCK = """
HANDLED = {}

class Diagonal:
    def __init__(self, size, value):
        self.size, self.value = size, value

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        if func not in HANDLED:
            return NotImplemented
        return HANDLED[func](*args, **(kwargs or {}))

HANDLED[torch.mean] = lambda d: d.value / d.size
HANDLED[torch.add] = lambda a, b: ("add", type(a).__name__, type(b).__name__)
HANDLED[torch.nn.functional.relu] = lambda d, inplace=False: "relu"
d = Diagonal(4, 2.0)
print(torch.mean(d), torch.add(d, 1), torch.add(torch.ones(2), d))
print(torch.nn.functional.relu(d), torch.overrides.is_tensor_like(d))
print(torch.overrides.has_torch_function((d,)), torch.overrides.has_torch_function((1,)))
try:
    torch.mul(torch.ones(2), d)
except TypeError as error:
    print("TypeError", "__torch_function__" in str(error))
"""

MODE = """
class Names(torch.overrides.TorchFunctionMode):
    def __torch_function__(self, func, types, args=(), kwargs=None):
        print(func.__name__)
        if func is torch.ones:
            return torch.zeros(*args)
        return func(*args, **(kwargs or {}))

layer = torch.nn.Linear(3, 2)
with Names():
    x = torch.ones(2, 3) + 1
    layer(x).sum()
print(x.tolist(), torch.ones(1).tolist())
with torch._C.DisableTorchFunctionSubclass():
    print(torch.overrides.has_torch_function((torch.ones(1),)))
"""

ORDER = """
class A(torch.Tensor):
    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        print("A", [kind.__name__ for kind in types])
        return NotImplemented

class B(A):
    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        print("B", [kind.__name__ for kind in types])
        return NotImplemented

class Quiet(torch.Tensor):
    __torch_function__ = torch._C._disabled_torch_function_impl

a, b, q = (torch.ones(2).as_subclass(kind) for kind in (A, B, Quiet))
try:
    torch.add(a, b)
except TypeError:
    print("TypeError")
print(type(q + 1).__name__, type(torch.nn.Parameter(torch.ones(1)) * 2).__name__)

def public(x):
    return torch.overrides.handle_torch_function(public, (x,), x)

class Yes:
    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        return func.__name__

print(public(Yes()), torch.overrides.wrap_torch_function(lambda x: (x,))(len)(Yes()))
"""


def prints(head: str, body: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", f"{head}\n{body}"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "body", [SUBCLASS, DUCK, MODE, ORDER], ids=["class", "duck", "mode", "order"]
)
def test_programs_print_what_they_print_under_pytorch(body: str) -> None:
    pytest.importorskip("torch")
    theirs = prints("import torch", body)
    assert prints("from rushlight import torch", body).splitlines() == theirs.splitlines()
