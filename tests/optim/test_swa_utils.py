"""Weight averaging against torch.optim.swa_utils."""

import pytest

import rushlight as rl

torch = pytest.importorskip("torch")


def network(module):
    layers = module.nn.Sequential(module.nn.Linear(2, 3), module.nn.BatchNorm1d(3))
    with module.no_grad():
        for parameter in layers.parameters():
            count = parameter.numel()
            parameter.copy_(module.arange(float(count)).reshape(parameter.shape) / count)
    return layers


def numbers(model):
    return [value.tolist() for value in model.state_dict().values()]


def near(ours, theirs):
    if isinstance(theirs, list):
        return all(near(a, b) for a, b in zip(ours, theirs, strict=True))
    return ours == pytest.approx(theirs, rel=1e-5, abs=1e-6)


AVERAGES = {
    "mean": lambda utils: {},
    "mean of lists": lambda utils: {"multi_avg_fn": utils.get_swa_multi_avg_fn()},
    "exponential": lambda utils: {"avg_fn": utils.get_ema_avg_fn(0.8)},
    "exponential of lists": lambda utils: {"multi_avg_fn": utils.get_ema_multi_avg_fn(0.8)},
    "own": lambda utils: {"avg_fn": lambda a, b, n: a * 0.25 + b * 0.75},
}


@pytest.mark.parametrize("use_buffers", [False, True])
@pytest.mark.parametrize("name", AVERAGES)
def test_averages_equal_torchs(name, use_buffers):
    """Parameters and buffers after several updates."""
    if use_buffers and name == "mean of lists":
        pytest.skip("torch cannot average the integer buffer of a batch norm this way")
    seen = []
    for module in (rl, torch):
        utils = module.optim.swa_utils
        model = network(module)
        averaged = utils.AveragedModel(model, use_buffers=use_buffers, **AVERAGES[name](utils))
        for step in range(4):
            with module.no_grad():
                for parameter in model.parameters():
                    parameter.add_(float(step) + 0.5)
            model(module.arange(8.0).reshape(4, 2) * step)
            averaged.update_parameters(model)
        seen.append((list(averaged.state_dict()), numbers(averaged)))
    assert seen[0][0] == seen[1][0]
    assert near(seen[0][1], seen[1][1])


def test_averaged_model_runs_and_is_apart():
    """It is a module of its own, and both kinds of averages cannot be given at once."""
    model = network(rl)
    averaged = rl.optim.swa_utils.AveragedModel(model)
    averaged.update_parameters(model)
    assert averaged(rl.ones(2, 2)).shape == (2, 3)
    with rl.no_grad():
        model[0].weight.fill_(9.0)
    assert averaged.module[0].weight.max().item() < 9
    utils = rl.optim.swa_utils
    with pytest.raises(AssertionError, match="Only one"):
        utils.AveragedModel(model, avg_fn=lambda *a: None, multi_avg_fn=lambda *a: None)
    for make in (utils.get_ema_avg_fn, utils.get_ema_multi_avg_fn):
        with pytest.raises(ValueError, match="decay"):
            make(1.5)


def test_update_bn_measures_anew():
    """Running statistics become the mean over all batches; modes and momenta are restored."""
    seen = []
    for module in (rl, torch):
        model = network(module)
        model.eval()
        batches = [module.arange(8.0).reshape(4, 2) * step for step in (1, 2, 5)]
        module.optim.swa_utils.update_bn([(batch, None) for batch in batches], model)
        assert not model.training
        assert model[1].momentum == 0.1
        seen.append(numbers(model))
    assert near(*seen)


@pytest.mark.parametrize("strategy", ["cos", "linear"])
@pytest.mark.parametrize("epochs", [0, 1, 6])
def test_swalr_equals_torch(strategy, epochs):
    """Rates and state, alone and after another schedule."""
    seen = []
    for module in (rl, torch):
        weights = [module.ones(1, requires_grad=True), module.ones(1, requires_grad=True)]
        groups = [{"params": weight, "lr": 0.5 / (n + 1)} for n, weight in enumerate(weights)]
        optimizer = module.optim.SGD(groups)
        first = module.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
        second = module.optim.swa_utils.SWALR(optimizer, [0.05, 0.1], epochs, strategy)
        rates = []
        for step in range(12):
            optimizer.step()
            (first if step < 4 else second).step()
            rates.append([group["lr"] for group in optimizer.param_groups])
        seen.append((rates, second.state_dict()))
    assert seen[0] == seen[1]


def test_swalr_bad_options():
    """ValueError for an unknown strategy or a negative length."""
    optimizer = rl.optim.SGD([rl.ones(1, requires_grad=True)])
    for options in ({"anneal_strategy": "x"}, {"anneal_epochs": -1}, {"swa_lr": [1, 2]}):
        with pytest.raises(ValueError):
            rl.optim.swa_utils.SWALR(optimizer, **{"swa_lr": 0.1, **options})
