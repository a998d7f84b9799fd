"""What a module is: attributes, tables, walking, converting, copying, printing."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

import rushlight as rl
from rushlight import nn


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 4)
        self.inner = nn.Sequential(nn.ReLU(), nn.BatchNorm1d(4))
        self.scale = nn.Parameter(rl.ones(4))
        self.register_buffer("seen", rl.zeros(1))
        self.register_buffer("scratch", rl.zeros(2), persistent=False)

    def forward(self, x: Any) -> Any:
        return self.inner(self.first(x)) * self.scale


def test_tables_and_attributes() -> None:
    net = Net()
    assert type(nn.Module) is type
    assert list(net._parameters) == ["scale"]
    assert list(net._buffers) == ["seen", "scratch"]
    assert list(net._modules) == ["first", "inner"]
    assert net.scale is net._parameters["scale"]
    with pytest.raises(AttributeError, match="'Net' object has no attribute 'missing'"):
        _ = net.missing
    del net.scale
    assert not hasattr(net, "scale")
    net.first = None
    assert net.first is None
    assert "first" in net._modules


def test_assignment_moves_a_name_between_tables() -> None:
    net = Net()
    net.thing = 3
    net.thing = nn.Parameter(rl.ones(1))
    assert "thing" not in net.__dict__
    assert "thing" in net._parameters
    net.thing = nn.ReLU()
    assert "thing" not in net._parameters
    assert "thing" in net._modules


def test_assignment_errors() -> None:
    net = Net()
    with pytest.raises(TypeError, match="as parameter 'scale' .*Parameter or None expected"):
        net.scale = rl.ones(4)
    with pytest.raises(TypeError, match="as child module 'first'"):
        net.first = 3
    with pytest.raises(TypeError, match="as buffer 'seen'"):
        net.seen = "text"
    with pytest.raises(KeyError, match="attribute 'first' already exists"):
        net.register_buffer("first", rl.zeros(1))
    with pytest.raises(KeyError, match="parameter name can.*t contain"):
        net.register_parameter("a.b", None)
    with pytest.raises(KeyError, match="empty string"):
        net.add_module("", nn.ReLU())
    with pytest.raises(TypeError, match="is not a Module subclass"):
        net.add_module("other", 3)
    with pytest.raises(ValueError, match="non-leaf"):
        leaf = rl.ones(2, requires_grad=True)
        product = leaf * 2
        product.__class__ = nn.Parameter
        net.register_parameter("other", product)


def test_use_before_init() -> None:
    class Late(nn.Module):
        def __init__(self, value: Any) -> None:
            self.value = value

    with pytest.raises(AttributeError, match=r"before Module.__init__\(\) call"):
        Late(nn.Parameter(rl.ones(1)))
    with pytest.raises(AttributeError, match=r"before Module.__init__\(\) call"):
        Late(nn.ReLU())
    with pytest.raises(TypeError, match="unexpected keyword argument 'size'"):
        nn.Module(size=3)


def test_walking() -> None:
    net = Net()
    names = ["", "first", "inner", "inner.0", "inner.1"]
    assert [name for name, _ in net.named_modules()] == names
    assert [name for name, _ in net.named_modules(prefix="net")][1] == "net.first"
    parameters = [name for name, _ in net.named_parameters()]
    assert parameters == ["scale", "first.weight", "first.bias", "inner.1.weight", "inner.1.bias"]
    assert [name for name, _ in net.named_parameters(recurse=False)] == ["scale"]
    assert [name for name, _ in net.named_buffers()][:2] == ["seen", "scratch"]
    net.again = net.first
    assert len(list(net.modules())) == 5
    assert len(list(net.modules(remove_duplicate=False))) == 6
    assert len(list(net.parameters())) == 5
    assert len(list(net.named_parameters(remove_duplicate=False))) == 7
    assert [name for name, _ in net.named_children()] == ["first", "inner"]


def test_paths() -> None:
    net = Net()
    assert net.get_submodule("inner.1") is net.inner[1]
    assert net.get_submodule("") is net
    assert net.get_parameter("inner.1.weight") is net.inner[1].weight
    assert net.get_buffer("inner.1.running_mean") is net.inner[1].running_mean
    with pytest.raises(AttributeError, match="Net has no attribute `nothing`"):
        net.get_submodule("nothing")
    with pytest.raises(AttributeError, match="is not an nn.Parameter"):
        net.get_parameter("seen")
    with pytest.raises(AttributeError, match="is not a buffer"):
        net.get_buffer("scale")
    net.set_submodule("inner.0", nn.Tanh())
    assert isinstance(net.inner[0], nn.Tanh)


def test_modes_and_gradients() -> None:
    net = Net()
    net.eval()
    assert not any(module.training for module in net.modules())
    net.train()
    assert all(module.training for module in net.modules())
    with pytest.raises(ValueError, match="training mode is expected to be boolean"):
        net.train("yes")
    net.requires_grad_(False)
    assert not any(p.requires_grad for p in net.parameters())
    net.requires_grad_()
    net(rl.ones(2, 3)).sum().backward()
    assert net.scale.grad is not None
    net.zero_grad(set_to_none=False)
    assert float(net.scale.grad.abs().sum()) == 0.0
    net.zero_grad()
    assert all(p.grad is None for p in net.parameters())


def test_converting_keeps_identity() -> None:
    net = Net()
    scale = net.scale
    net.double()
    assert net.scale is scale
    assert scale.dtype == rl.float64
    assert net.inner[1].num_batches_tracked.dtype == rl.int64
    net.to(rl.float32)
    assert net.seen.dtype == rl.float32
    net.to("cpu", rl.float64)
    assert net.first.weight.dtype == rl.float64
    net.to(rl.zeros(1))
    assert net.first.weight.dtype == rl.float32
    with pytest.raises(TypeError, match="floating point or complex"):
        net.to(rl.int64)


def test_apply_visits_children_first() -> None:
    seen: list[str] = []
    Net().apply(lambda module: seen.append(type(module).__name__))
    assert seen == ["Linear", "ReLU", "BatchNorm1d", "Sequential", "Net"]


def test_copies_are_independent() -> None:
    net = Net()
    for twin in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert isinstance(twin.scale, nn.Parameter)
        assert list(twin.state_dict()) == list(net.state_dict())
        with rl.no_grad():
            twin.scale.fill_(7.0)
        assert float(net.scale.sum()) == 4.0
        assert twin(rl.ones(2, 3)).shape == net(rl.ones(2, 3)).shape


def test_parameter_and_buffer() -> None:
    parameter = nn.Parameter(rl.arange(2.0))
    assert parameter.requires_grad
    assert parameter.is_leaf
    assert isinstance(parameter, rl.Tensor)
    assert type(parameter * 2) is rl.Tensor
    assert repr(parameter).startswith("Parameter containing:\ntensor([0., 1.]")
    module = nn.Module()
    module.kept = nn.Buffer(rl.zeros(1))
    module.passing = nn.Buffer(rl.zeros(1), persistent=False)
    assert list(module.state_dict()) == ["kept"]
    assert len(list(module.buffers())) == 2
    module.kept = rl.ones(3)
    assert float(module.kept.sum()) == 3.0


def test_forward_is_required_and_compile_is_quiet() -> None:
    with pytest.raises(NotImplementedError, match='missing the required "forward" function'):
        nn.Module()(3)
    net = Net()
    assert net.compile() is None


def test_printed_tree() -> None:
    assert repr(Net()) == (
        "Net(\n"
        "  (first): Linear(in_features=3, out_features=4, bias=True)\n"
        "  (inner): Sequential(\n"
        "    (0): ReLU()\n"
        "    (1): BatchNorm1d(4, eps=1e-05, momentum=0.1, affine=True, bias=True, "
        "track_running_stats=True)\n"
        "  )\n"
        ")"
    )
    assert "scale" in dir(Net())


def test_lazy_modules_become_ordinary() -> None:
    with pytest.warns(UserWarning, match="Lazy modules"):
        net = nn.Sequential(nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.LazyLinear(2))
    assert net[0].has_uninitialized_params()
    with pytest.raises(RuntimeError, match="uninitialized parameter"):
        _ = net[0].weight.shape
    assert net(rl.zeros(2, 3, 5, 6)).shape == (2, 4, 3, 2)
    assert [type(module) for module in net] == [nn.Conv2d, nn.BatchNorm2d, nn.Linear]
    assert net[0].in_channels == 3
    assert type(net[0].weight) is nn.Parameter
    assert not net[0]._forward_pre_hooks


def test_lazy_module_takes_shapes_from_a_state_dict() -> None:
    source = nn.Linear(3, 2)
    with pytest.warns(UserWarning):
        lazy = nn.LazyLinear(2)
    lazy.load_state_dict(source.state_dict())
    assert float((lazy.weight - source.weight).abs().sum()) == 0.0
