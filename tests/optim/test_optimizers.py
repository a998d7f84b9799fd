"""Every optimizer against torch.optim: parameters, state, and options."""

import copy
import io

import pytest

import rushlight as rl

torch = pytest.importorskip("torch")

CASES = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "momentum": 0.9}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.2, "maximize": True}),
    ("Adam", {}),
    ("Adam", {"weight_decay": 0.1, "maximize": True, "betas": (0.4, 0.5)}),
    ("Adam", {"amsgrad": True, "lr": 0.1}),
    ("AdamW", {"lr": 0.01}),
    ("AdamW", {"amsgrad": True, "weight_decay": 0}),
    ("RMSprop", {}),
    ("RMSprop", {"momentum": 0.9, "centered": True, "weight_decay": 0.1}),
    ("RMSprop", {"momentum": 0.5, "maximize": True}),
    ("Adagrad", {"lr_decay": 0.1, "weight_decay": 0.1, "initial_accumulator_value": 0.1}),
    ("Adadelta", {"weight_decay": 0.1}),
    ("Adamax", {"weight_decay": 0.1}),
    ("NAdam", {"weight_decay": 0.1}),
    ("NAdam", {"weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("RAdam", {"lr": 0.01}),
    ("RAdam", {"weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("ASGD", {"t0": 3, "weight_decay": 0.1}),
    ("Rprop", {}),
    ("Adafactor", {"weight_decay": 0.1}),
    ("Muon", {"lr": 0.02}),
    ("Muon", {"nesterov": False, "adjust_lr_fn": "match_rms_adamw"}),
    ("LBFGS", {"lr": 0.5, "max_iter": 4, "history_size": 3}),
    ("LBFGS", {"line_search_fn": "strong_wolfe", "max_iter": 8}),
]
REAL_ONLY = ("Muon", "Adafactor", "LBFGS")
TOLERANCE = {"float32": 2e-5, "float64": 1e-9, "complex64": 2e-5, "bfloat16": 3e-2}


def start(module, dtype, matrix_only):
    """The same parameters for both libraries, and a function that gives their loss."""
    kind = getattr(module, dtype)
    numbers = [[0.3, -1.2, 0.7], [1.5, 0.1, -0.4], [-0.6, 0.9, 1.1], [0.2, -0.8, 0.5]]
    params = [module.tensor(numbers, dtype=kind)]
    if not matrix_only:
        params.append(module.tensor([0.5, -0.3, 1.2, 0.8, -1.0], dtype=kind))
    params = [param.requires_grad_() for param in params]
    weights = module.tensor([[1.0, -2.0, 0.5, 0.25], [0.5, 1.0, -1.0, 2.0]])

    def loss():
        rows = (weights.to(kind) @ params[0]).abs().square().sum()
        rest = [param.abs().square().sum() * 0.5 for param in params[1:]]
        return sum(rest, rows) + params[0].abs().sum() * 0.1

    return params, loss


def train(module, name, options, dtype, steps=8):
    params, loss = start(module, dtype, name == "Muon")
    optimizer = getattr(module.optim, name)(params, **options)

    def closure():
        optimizer.zero_grad()
        value = loss()
        value.backward()
        return value

    for _ in range(steps):
        optimizer.step(closure)
    return params, optimizer, closure


def numbers(value):
    """A tensor of either library as nested Python numbers."""
    wide = {"torch.bfloat16": "float32"}.get(str(value.dtype))
    module = rl if isinstance(value, rl.Tensor) else torch
    return (value.to(getattr(module, wide)) if wide else value).detach().tolist()


def close(ours, theirs, tolerance):
    if isinstance(theirs, list):
        return all(close(a, b, tolerance) for a, b in zip(ours, theirs, strict=True))
    return abs(ours - theirs) <= tolerance * (1 + abs(theirs))


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64"])
@pytest.mark.parametrize(("name", "options"), CASES)
def test_parameters_and_state_equal_torchs(name, options, dtype):
    """After eight steps: parameters, state tensors, the groups, and the printed form."""
    if dtype == "complex64" and name in REAL_ONLY:
        pytest.skip("for real parameters only")
    if name == "LBFGS" and dtype == "float32":
        pytest.skip("a quasi-Newton method magnifies rounding: compared in float64")
    ours, mine, _ = train(rl, name, options, dtype)
    theirs, other, _ = train(torch, name, options, dtype)
    # bfloat16 inside Muon's iteration rounds coarsely, whatever the dtype of the parameters.
    tolerance = 2e-3 if name == "Muon" else TOLERANCE[dtype]
    for a, b in zip(ours, theirs, strict=True):
        assert close(numbers(a), numbers(b), tolerance)
    a, b = mine.state_dict(), other.state_dict()
    assert repr(mine) == repr(other)
    assert a["param_groups"] == b["param_groups"]
    assert list(a["state"]) == list(b["state"])
    if name == "LBFGS":
        return
    for key, state in b["state"].items():
        assert list(a["state"][key]) == list(state)
        for part, value in state.items():
            own = a["state"][key][part]
            assert str(own.dtype) == str(value.dtype)
            assert tuple(own.shape) == tuple(value.shape)
            assert close(numbers(own), numbers(value), tolerance * 10)


@pytest.mark.parametrize(("name", "options"), CASES[:9])
def test_bfloat16_parameters(name, options):
    """Each operation rounds to the parameters' dtype, as torch's do."""
    ours, _, _ = train(rl, name, options, "bfloat16")
    theirs, _, _ = train(torch, name, options, "bfloat16")
    for a, b in zip(ours, theirs, strict=True):
        assert close(numbers(a), numbers(b), TOLERANCE["bfloat16"])


@pytest.mark.parametrize(("name", "options"), [case for case in CASES if case[0] != "LBFGS"])
def test_resumed_from_a_file_goes_on_bit_for_bit(name, options):
    """Parameters and state through a file, a new optimizer: the same bits as without a stop."""
    params, optimizer, closure = train(rl, name, options, "float32", steps=3)
    file = io.BytesIO()
    rl.save({"params": params, "state": optimizer.state_dict()}, file)
    for _ in range(3):
        optimizer.step(closure)
    saved = rl.load(io.BytesIO(file.getvalue()))
    fresh, loss = start(rl, "float32", name == "Muon")
    with rl.no_grad():
        for param, value in zip(fresh, saved["params"], strict=True):
            param.copy_(value)
    again = getattr(rl.optim, name)(fresh, **options)
    again.load_state_dict(saved["state"])
    for _ in range(3):
        again.zero_grad()
        loss().backward()
        again.step()
    for a, b in zip(fresh, params, strict=True):
        assert a.tolist() == b.tolist()


@pytest.mark.parametrize("name", ["SGD", "Adam", "RMSprop", "ASGD", "NAdam"])
def test_state_of_torch_is_taken_over(name):
    """An optimizer saved by torch goes on here with the same numbers."""
    options = {"momentum": 0.9} if name == "SGD" else {}
    theirs, other, closure = train(torch, name, options, "float32", steps=3)
    state = other.state_dict()

    def convert(value):
        if isinstance(value, torch.Tensor):
            return rl.tensor(value.tolist(), dtype=getattr(rl, str(value.dtype)[6:]))
        if isinstance(value, dict):
            return {key: convert(each) for key, each in value.items()}
        return [convert(each) for each in value] if isinstance(value, list) else value

    ours, loss = start(rl, "float32", False)
    with rl.no_grad():
        for param, value in zip(ours, theirs, strict=True):
            param.copy_(rl.tensor(value.tolist()))
    mine = getattr(rl.optim, name)(ours, **options)
    mine.load_state_dict(convert(state))
    for _ in range(3):
        other.step(closure)
        mine.zero_grad()
        loss().backward()
        mine.step()
    for a, b in zip(ours, theirs, strict=True):
        assert close(a.tolist(), b.tolist(), 2e-5)


# ---- the base class


def parameter(value=1.0):
    return rl.tensor([value], requires_grad=True)


def test_parameters_are_changed_in_place():
    """The tensor, its memory and its version are those of before; others see the new value."""
    weight = parameter()
    alias = weight.detach()
    version = weight._version
    optimizer = rl.optim.SGD([weight], lr=0.5)
    (weight * 2).sum().backward()
    optimizer.step()
    assert weight.is_leaf
    assert weight.requires_grad
    assert weight.grad.tolist() == [2]
    assert weight._version > version
    assert alias.tolist() == [0]


def test_parameters_without_gradient_are_left_alone():
    """No update, no decay, no state."""
    used, unused = parameter(), parameter(3.0)
    optimizer = rl.optim.AdamW([used, unused], lr=0.1, weight_decay=0.5)
    used.sum().backward()
    optimizer.step()
    assert unused.tolist() == [3]
    assert list(optimizer.state_dict()["state"]) == [0]


def test_weight_decay_of_zero_leaves_infinite_parameters():
    """0 * inf is not added: a mask of -inf stays one."""
    for name in ("SGD", "Adam", "RMSprop"):
        weight = rl.tensor([-float("inf"), 1.0], requires_grad=True)
        optimizer = getattr(rl.optim, name)([weight], lr=0.1)
        weight.grad = rl.zeros(2)
        optimizer.step()
        assert weight.tolist()[0] == -float("inf")


def test_zero_grad():
    """None by default, zeros on request."""
    weight = parameter()
    optimizer = rl.optim.SGD([weight])
    weight.sum().backward()
    optimizer.zero_grad(set_to_none=False)
    assert weight.grad.tolist() == [0]
    optimizer.zero_grad()
    assert weight.grad is None
    optimizer.zero_grad()


def test_step_numbers_are_tensors_that_can_be_changed():
    """The count is torch's 0-d tensor; what a user writes to it counts."""
    weight = parameter()
    optimizer = rl.optim.Adam([weight])
    for expected in (1, 2):
        weight.sum().backward()
        optimizer.step()
        assert optimizer.state[weight]["step"].item() == expected
    count = optimizer.state[weight]["step"]
    assert count.dtype == rl.float32
    assert count.shape == ()
    count.fill_(10)
    optimizer.step()
    assert count.item() == 11
    assert optimizer.state_dict()["state"][0]["step"] is count


def test_learning_rate_may_be_a_tensor():
    """As a number that is read at each step."""
    for name in ("SGD", "Adam", "RMSprop"):
        weight = parameter()
        rate = rl.tensor(0.5)
        optimizer = getattr(rl.optim, name)([weight], lr=rate)
        weight.sum().backward()
        optimizer.step()
        first = weight.item()
        rate.fill_(0.0)
        optimizer.step()
        assert first < 1
        assert weight.item() == first


def test_groups_have_their_own_options():
    """Named and unnamed, with defaults filled in."""
    a, b = parameter(), parameter()
    optimizer = rl.optim.SGD([{"params": a, "lr": 1.0}, {"params": [b]}], lr=0.25)
    (a + b).sum().backward()
    optimizer.step()
    assert a.tolist() == [0]
    assert b.tolist() == [0.75]
    named = rl.optim.SGD([("a", a), ("b", b)])
    assert named.state_dict()["param_groups"][0]["param_names"] == ["a", "b"]
    late = parameter()
    optimizer.add_param_group({"params": late, "lr": 2.0})
    late.sum().backward()
    optimizer.step()
    assert late.tolist() == [-1]


@pytest.mark.parametrize(
    ("error", "make"),
    [
        (TypeError, lambda m, p: m.optim.SGD(p)),
        (ValueError, lambda m, p: m.optim.SGD([])),
        (TypeError, lambda m, p: m.optim.SGD([3])),
        (TypeError, lambda m, p: m.optim.SGD([{"params": {p}}])),
        (ValueError, lambda m, p: m.optim.SGD([p * 2])),
        (ValueError, lambda m, p: m.optim.SGD([{"params": [p]}, {"params": [p]}])),
        (ValueError, lambda m, p: m.optim.SGD([("a", p), p])),
        (ValueError, lambda m, p: m.optim.SGD([{"params": [("a", p)]}, {"params": [p * 1]}])),
        (TypeError, lambda m, p: m.optim.SGD([p]).add_param_group([p])),
        (ValueError, lambda m, p: m.optim.SGD([p], lr=-1)),
        (ValueError, lambda m, p: m.optim.SGD([p], lr=m.ones(2))),
        (ValueError, lambda m, p: m.optim.SGD([p], momentum=-1)),
        (ValueError, lambda m, p: m.optim.SGD([p], nesterov=True)),
        (RuntimeError, lambda m, p: m.optim.SGD([p], fused=True, foreach=True)),
        (RuntimeError, lambda m, p: m.optim.Adam([p], fused=True, differentiable=True)),
        (ValueError, lambda m, p: m.optim.Adam([p], betas=(1.0, 0.9))),
        (ValueError, lambda m, p: m.optim.Adam([p], eps=-1)),
        (ValueError, lambda m, p: m.optim.RMSprop([p], alpha=-1)),
        (ValueError, lambda m, p: m.optim.Adadelta([p], rho=2)),
        (ValueError, lambda m, p: m.optim.Adagrad([p], lr_decay=-1)),
        (ValueError, lambda m, p: m.optim.Rprop([p], etas=(2, 1))),
        (ValueError, lambda m, p: m.optim.Adafactor([p], d=0.5)),
        (ValueError, lambda m, p: m.optim.Muon([p])),
        (ValueError, lambda m, p: m.optim.SparseAdam([p], lr=0.0)),
        (ValueError, lambda m, p: m.optim.LBFGS([{"params": [p]}, {"params": [p.detach()]}])),
        (NotImplementedError, lambda m, p: m.optim.Optimizer([p], {}).step()),
    ],
)
def test_mistakes_raise_like_torch(error, make):
    """The same error types for the same mistakes."""
    for module in (rl, torch):
        with pytest.raises(error):
            make(module, module.ones(1, requires_grad=True))


def test_sparse_adam_refuses_dense_gradients():
    """With torch's message."""
    weight = parameter()
    optimizer = rl.optim.SparseAdam([weight])
    optimizer.step()
    weight.sum().backward()
    with pytest.raises(RuntimeError, match="dense gradients, please consider Adam"):
        optimizer.step()


def test_duplicate_parameters_warn():
    """Within one group, as in torch."""
    weight = parameter()
    with pytest.warns(UserWarning, match="duplicate parameters"):
        rl.optim.SGD([weight, weight])


def test_loading_checks_the_sizes_of_groups():
    """ValueError names the numbers."""
    one, two = rl.optim.SGD([parameter()]), rl.optim.SGD([parameter(), parameter()])
    with pytest.raises(ValueError, match="group 0 has 1 parameters, the state dict 2"):
        one.load_state_dict(two.state_dict())
    three = rl.optim.SGD([{"params": [parameter()]}, {"params": [parameter()]}])
    with pytest.raises(ValueError, match="number of parameter groups"):
        one.load_state_dict(three.state_dict())


def test_loading_casts_state_but_not_counts():
    """State follows the parameter's dtype; the count stays single precision."""
    source = rl.ones(2, requires_grad=True)
    adam = rl.optim.Adam([source])
    source.sum().backward()
    adam.step()
    target = rl.optim.Adam([rl.ones(2, dtype=rl.float64, requires_grad=True)])
    target.load_state_dict(adam.state_dict())
    state = target.state_dict()["state"][0]
    assert state["exp_avg"].dtype == rl.float64
    assert state["step"].dtype == rl.float32


def test_hooks_run_in_order_and_can_be_removed():
    """Global and own hooks around step, state_dict and load_state_dict."""
    weight = parameter()
    optimizer = rl.optim.SGD([weight])
    seen = []

    def note(text):
        return lambda *arguments: seen.append(text)

    handles = [
        rl.optim.register_optimizer_step_pre_hook(note("global before")),
        optimizer.register_step_pre_hook(note("before")),
        optimizer.register_step_post_hook(note("after")),
        rl.optim.register_optimizer_step_post_hook(note("global after")),
        optimizer.register_state_dict_pre_hook(note("saving")),
        optimizer.register_state_dict_post_hook(note("saved")),
        optimizer.register_state_dict_post_hook(note("first"), prepend=True),
        optimizer.register_load_state_dict_pre_hook(note("loading")),
        optimizer.register_load_state_dict_post_hook(note("loaded")),
    ]
    optimizer.step()
    optimizer.load_state_dict(optimizer.state_dict())
    expected = ["global before", "before", "after", "global after"]
    assert seen == [*expected, "saving", "first", "saved", "loading", "loaded"]
    for handle in handles:
        handle.remove()
    optimizer.step()
    assert len(seen) == 9


def test_pre_hook_may_replace_the_arguments():
    """Or must return None."""
    optimizer = rl.optim.SGD([parameter()])
    handle = optimizer.register_step_pre_hook(lambda o, args, kwargs: ((o, lambda: 7), kwargs))
    assert optimizer.step() == 7
    handle.remove()
    optimizer.register_step_pre_hook(lambda o, args, kwargs: 3)
    with pytest.raises(RuntimeError, match="pre hook"):
        optimizer.step()


def test_closure_runs_with_gradients_on():
    """Its value is returned; the mode around the step is left as it was."""
    weight = parameter(2.0)
    optimizer = rl.optim.SGD([weight], lr=0.25)

    def closure():
        optimizer.zero_grad()
        loss = (weight * weight).sum()
        loss.backward()
        return loss

    with rl.no_grad():
        assert optimizer.step(closure).item() == 4
        assert not rl.is_grad_enabled()
    assert weight.tolist() == [1]


class Sign(rl.optim.Optimizer):
    """A method in the way PyTorch's users write them: with its own step."""

    def __init__(self, params, lr):
        super().__init__(params, {"lr": lr})

    def step(self, closure=None):
        with rl.no_grad():
            for group in self.param_groups:
                for param in group["params"]:
                    if param.grad is not None:
                        param.add_(param.grad.sign(), alpha=-group["lr"])


def test_own_optimizer_with_step():
    """Hooks run around an overridden step too."""
    weight = parameter()
    optimizer = Sign([weight], lr=0.5)
    seen = []
    optimizer.register_step_post_hook(lambda *arguments: seen.append(1))
    (weight * 9).sum().backward()
    optimizer.step()
    assert weight.tolist() == [0.5]
    assert seen == [1]


def test_deepcopy_keeps_state_apart():
    """A copy has its own parameters, state and counts."""
    weight = parameter()
    optimizer = rl.optim.Adam([weight], lr=0.1)
    weight.sum().backward()
    optimizer.step()
    twin = copy.deepcopy(optimizer)
    copied = twin.param_groups[0]["params"][0]
    before = weight.item()
    copied.grad = rl.ones(1)
    twin.step()
    assert weight.item() == before
    assert copied.item() != before
    assert optimizer.state[weight]["step"].item() == 1
    assert twin.state[copied]["step"].item() == 2


def test_differentiable_steps():
    """Gradients flow through an update, for methods in plain arithmetic as for fused ones."""
    for name in ("SGD", "Adam", "RMSprop"):
        grads = []
        for module in (rl, torch):
            source = module.tensor([2.0], dtype=module.float64, requires_grad=True)
            weight = source.clone()
            optimizer = getattr(module.optim, name)([weight], lr=0.1, differentiable=True)
            weight.grad = source * source
            optimizer.step()
            weight.sum().backward()
            grads.append(source.grad.item())
        assert grads[0] == pytest.approx(grads[1], rel=1e-9)


@pytest.mark.parametrize("name", ["Adam", "RMSprop", "ASGD", "Rprop"])
def test_capturable_needs_a_gpu(name):
    weight = rl.ones(2, requires_grad=True)
    optimizer = getattr(rl.optim, name)([weight], capturable=True)
    optimizer.step()  # nothing to update
    weight.grad = rl.ones(2)
    with pytest.raises(AssertionError, match="If capturable=True, params"):
        optimizer.step()
