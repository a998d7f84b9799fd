"""Schedules: the same sequences of rates as torch.optim.lr_scheduler, exactly."""

import math
import warnings

import pytest

import rushlight as rl

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.filterwarnings("ignore:The epoch parameter", "ignore:To get the last")


class Rule:
    """A callable object: its fields are saved."""

    def __init__(self, power):
        self.power = power

    def __call__(self, epoch):
        return 0.9 ** (epoch * self.power)


def optimizer_of(module, rates=(0.5, 0.05), kind="SGD"):
    groups = [{"params": [module.ones(1, requires_grad=True)], "lr": rate} for rate in rates]
    options = {"momentum": 0.9} if kind == "SGD" else {}
    return getattr(module.optim, kind)(groups, **options)


SCHEDULES = {
    "lambda": lambda s, o: s.LambdaLR(o, lambda epoch: 0.95**epoch),
    "lambdas": lambda s, o: s.LambdaLR(o, [Rule(1), lambda epoch: 1 / (1 + epoch)]),
    "multiplicative": lambda s, o: s.MultiplicativeLR(o, Rule(0.5)),
    "step": lambda s, o: s.StepLR(o, 3, gamma=0.3),
    "multistep": lambda s, o: s.MultiStepLR(o, [2, 5, 5, 11], gamma=0.3),
    "constant": lambda s, o: s.ConstantLR(o, factor=0.4, total_iters=4),
    "linear": lambda s, o: s.LinearLR(o, start_factor=0.25, total_iters=6),
    "linear down": lambda s, o: s.LinearLR(o, start_factor=1.0, end_factor=0.1, total_iters=7),
    "exponential": lambda s, o: s.ExponentialLR(o, gamma=0.8),
    "polynomial": lambda s, o: s.PolynomialLR(o, total_iters=8, power=2.0),
    "cosine": lambda s, o: s.CosineAnnealingLR(o, T_max=6, eta_min=0.01),
    "restarts": lambda s, o: s.CosineAnnealingWarmRestarts(o, T_0=4, T_mult=2, eta_min=0.001),
    "restarts even": lambda s, o: s.CosineAnnealingWarmRestarts(o, T_0=5),
    "cyclic": lambda s, o: s.CyclicLR(o, 0.01, [0.1, 0.2], step_size_up=3, step_size_down=5),
    "cyclic 2": lambda s, o: s.CyclicLR(o, 0.01, 0.1, step_size_up=3, mode="triangular2"),
    "cyclic exp": lambda s, o: s.CyclicLR(
        o, 0.01, 0.1, step_size_up=3, mode="exp_range", gamma=0.9
    ),
    "cyclic own": lambda s, o: s.CyclicLR(o, 0.01, 0.1, 3, scale_fn=Rule(0.1), scale_mode="cycle"),
    "one cycle": lambda s, o: s.OneCycleLR(o, max_lr=[0.5, 0.1], total_steps=25),
    "one cycle 3": lambda s, o: s.OneCycleLR(
        o, 0.5, epochs=5, steps_per_epoch=5, three_phase=True, anneal_strategy="linear"
    ),
    "sequential": lambda s, o: s.SequentialLR(
        o, [s.ConstantLR(o, 0.1, 3), s.ExponentialLR(o, 0.9), s.StepLR(o, 2)], milestones=[3, 9]
    ),
    "warm-up and cosine": lambda s, o: s.SequentialLR(
        o, [s.LinearLR(o, 0.1, total_iters=4), s.CosineAnnealingLR(o, 16)], milestones=[4]
    ),
    "chained": lambda s, o: s.ChainedScheduler([s.ConstantLR(o, 0.1, 2), s.ExponentialLR(o, 0.9)]),
}


def values(optimizer):
    names = ("lr", "momentum", "betas", "initial_lr")
    return [{name: group.get(name) for name in names} for group in optimizer.param_groups]


def run(schedule, optimizer, steps):
    seen = []
    for _ in range(steps):
        seen.append((values(optimizer), list(schedule.get_last_lr())))
        optimizer.step()
        schedule.step()
    return seen


@pytest.mark.parametrize("kind", ["SGD", "Adam"])
@pytest.mark.parametrize("name", SCHEDULES)
def test_rates_and_momenta_equal_torchs(name, kind):
    """Every step's rates, momenta and last rates, for two groups."""
    seen = []
    for module in (rl, torch):
        optimizer = optimizer_of(module, kind=kind)
        schedule = SCHEDULES[name](module.optim.lr_scheduler, optimizer)
        seen.append(run(schedule, optimizer, 24))
    assert seen[0] == seen[1]


def comparable(state):
    """A state without what stands for Python functions, which differ by identity."""
    return {
        key: [comparable(part) for part in value] if key == "_schedulers" else value
        for key, value in state.items()
    }


@pytest.mark.parametrize("name", SCHEDULES)
def test_state_dict_and_resumption(name):
    """States have torch's keys and values; a resumed schedule goes on as the original."""
    states = []
    for module in (rl, torch):
        optimizer = optimizer_of(module)
        schedule = SCHEDULES[name](module.optim.lr_scheduler, optimizer)
        run(schedule, optimizer, 7)
        states.append((comparable(schedule.state_dict()), optimizer.state_dict()))
    mine, theirs = states[0][0], states[1][0]
    assert set(mine) == set(theirs)
    assert mine == theirs

    original = optimizer_of(rl)
    schedule = SCHEDULES[name](rl.optim.lr_scheduler, original)
    run(schedule, original, 7)
    resumed = optimizer_of(rl, rates=(1.0, 2.0))
    again = SCHEDULES[name](rl.optim.lr_scheduler, resumed)
    again.load_state_dict(schedule.state_dict())
    resumed.load_state_dict(original.state_dict())
    assert run(again, resumed, 10) == run(schedule, original, 10)


def test_state_of_torch_is_taken_over():
    """A schedule saved by torch goes on here."""
    theirs = optimizer_of(torch)
    schedule = SCHEDULES["warm-up and cosine"](torch.optim.lr_scheduler, theirs)
    run(schedule, theirs, 6)
    ours = optimizer_of(rl)
    resumed = SCHEDULES["warm-up and cosine"](rl.optim.lr_scheduler, ours)
    resumed.load_state_dict(schedule.state_dict())
    ours.load_state_dict(theirs.state_dict())
    assert run(resumed, ours, 8) == run(schedule, theirs, 8)


@pytest.mark.parametrize(
    "name",
    ["step", "multistep", "constant", "linear", "exponential", "polynomial", "cosine", "lambda"],
)
def test_jumping_to_an_epoch(name):
    """step(epoch) uses the closed form."""
    seen = []
    for module in (rl, torch):
        optimizer = optimizer_of(module)
        schedule = SCHEDULES[name](module.optim.lr_scheduler, optimizer)
        optimizer.step()
        rates = []
        for epoch in (5, 2, 9):
            schedule.step(epoch)
            rates.append(schedule.get_last_lr())
        seen.append(rates)
    assert seen[0] == seen[1]


def test_warm_restarts_take_fractions():
    """step(epoch + part) as in the usual loop over batches."""
    seen = []
    for module in (rl, torch):
        optimizer = optimizer_of(module)
        schedule = module.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, 2, 3)
        optimizer.step()
        rates = []
        for part in range(40):
            schedule.step(part / 4)
            rates.append(schedule.get_last_lr())
        seen.append(rates)
    assert seen[0] == seen[1]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"mode": "max", "patience": 1},
        {"patience": 0, "cooldown": 2, "factor": 0.5},
        {"threshold": 0.3, "threshold_mode": "abs", "patience": 1},
        {"mode": "max", "threshold": 0.2, "threshold_mode": "abs", "patience": 1},
        {"min_lr": [0.1, 0.001], "patience": 0},
        {"eps": 0.2, "patience": 0},
    ],
)
def test_plateau_equals_torch(options):
    """Rates and state after each of a series of measurements."""
    losses = [math.sin(0.7 * step) + 2 - 0.03 * step for step in range(40)]
    seen = []
    for module in (rl, torch):
        optimizer = optimizer_of(module)
        schedule = module.optim.lr_scheduler.ReduceLROnPlateau(optimizer, **options)
        rates = []
        for loss in losses:
            schedule.step(module.tensor(loss, dtype=module.float64))
            rates.append((schedule.get_last_lr(), values(optimizer)))
        seen.append((rates, comparable(schedule.state_dict())))
    assert seen[0][0] == seen[1][0]
    mine, theirs = seen[0][1], seen[1][1]
    mine.pop("optimizer", None), theirs.pop("optimizer", None)
    assert mine == theirs


def test_resuming_with_last_epoch():
    """A schedule made anew with last_epoch needs, and uses, the groups' first rates."""
    seen = []
    for module in (rl, torch):
        optimizer = optimizer_of(module)
        schedule = module.optim.lr_scheduler.CosineAnnealingLR(optimizer, 9)
        run(schedule, optimizer, 4)
        again = module.optim.lr_scheduler.CosineAnnealingLR(optimizer, 9, last_epoch=3)
        seen.append(run(again, optimizer, 4))
        with pytest.raises(KeyError, match="initial_lr"):
            module.optim.lr_scheduler.StepLR(optimizer_of(module), 2, last_epoch=3)
    assert seen[0] == seen[1]


def test_rates_kept_in_tensors_change_in_place():
    """A tensor as lr stays the same tensor."""
    rate = rl.tensor(1.0)
    optimizer = rl.optim.SGD([rl.ones(1, requires_grad=True)], lr=rate)
    schedule = rl.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
    optimizer.step()
    schedule.step()
    assert optimizer.param_groups[0]["lr"] is rate
    assert rate.item() == 0.5
    assert schedule.base_lrs[0].item() == 1.0


def test_stepping_in_the_wrong_order_warns():
    """Once, when the schedule steps before the optimizer ever has."""
    optimizer = optimizer_of(rl)
    schedule = rl.optim.lr_scheduler.StepLR(optimizer, 2)
    with pytest.warns(UserWarning, match="before `optimizer.step"):
        schedule.step()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        schedule.step()
        right = optimizer_of(rl)
        schedule = rl.optim.lr_scheduler.StepLR(right, 2)
        right.step()
        schedule.step()


def test_get_lr_outside_a_step_warns():
    """get_last_lr is what users want."""
    schedule = rl.optim.lr_scheduler.ExponentialLR(optimizer_of(rl), 0.5)
    with pytest.warns(UserWarning, match="get_last_lr"):
        schedule.get_lr()


class Halving(rl.optim.lr_scheduler.LRScheduler):
    """A schedule in the way PyTorch's documentation writes them."""

    def get_lr(self):
        return [base * 0.5**self.last_epoch for base in self.base_lrs]


def test_own_schedule():
    """Subclasses that define get_lr work."""
    optimizer = optimizer_of(rl, rates=(1.0,))
    schedule = Halving(optimizer)
    optimizer.step()
    schedule.step()
    assert schedule.get_last_lr() == [0.5]


BAD = {
    "not an optimizer": (TypeError, lambda s, o: s.StepLR(3, 1)),
    "lambda count": (ValueError, lambda s, o: s.LambdaLR(o, [Rule(1)])),
    "not callable": (TypeError, lambda s, o: s.MultiplicativeLR(o, 3)),
    "constant": (ValueError, lambda s, o: s.ConstantLR(o, factor=1.5)),
    "linear start": (ValueError, lambda s, o: s.LinearLR(o, start_factor=0)),
    "linear end": (ValueError, lambda s, o: s.LinearLR(o, end_factor=2)),
    "T_0": (ValueError, lambda s, o: s.CosineAnnealingWarmRestarts(o, 0)),
    "T_mult": (ValueError, lambda s, o: s.CosineAnnealingWarmRestarts(o, 1, 0)),
    "factor": (ValueError, lambda s, o: s.ReduceLROnPlateau(o, factor=1.0)),
    "mode": (ValueError, lambda s, o: s.ReduceLROnPlateau(o, mode="up")),
    "min_lr": (ValueError, lambda s, o: s.ReduceLROnPlateau(o, min_lr=[0.1])),
    "cyclic mode": (ValueError, lambda s, o: s.CyclicLR(o, 0.1, 0.2, mode="round")),
    "cyclic rates": (ValueError, lambda s, o: s.CyclicLR(o, [0.1], 0.2)),
    "one cycle": (ValueError, lambda s, o: s.OneCycleLR(o, 0.1)),
    "one cycle steps": (ValueError, lambda s, o: s.OneCycleLR(o, 0.1, total_steps=0)),
    "one cycle part": (ValueError, lambda s, o: s.OneCycleLR(o, 0.1, 9, pct_start=2.0)),
    "one cycle way": (ValueError, lambda s, o: s.OneCycleLR(o, 0.1, 9, anneal_strategy="x")),
    "no part": (ValueError, lambda s, o: s.ChainedScheduler([])),
    "milestones": (ValueError, lambda s, o: s.SequentialLR(o, [s.StepLR(o, 1)], [1])),
    "plateau": (ValueError, lambda s, o: s.SequentialLR(o, [s.ReduceLROnPlateau(o)], [])),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_options(name):
    """The same error types as torch."""
    error, make = BAD[name]
    for module in (rl, torch):
        with pytest.raises(error):
            make(module.optim.lr_scheduler, optimizer_of(module))


def test_parts_of_different_optimizers():
    """A composite acts on one optimizer."""
    schedules = rl.optim.lr_scheduler
    one, other = optimizer_of(rl), optimizer_of(rl)
    with pytest.raises(ValueError, match="index 1 belongs to another"):
        schedules.ChainedScheduler([schedules.StepLR(one, 1), schedules.StepLR(other, 1)])


def test_one_cycle_ends():
    """A step beyond the last is an error."""
    optimizer = optimizer_of(rl)
    schedule = rl.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=3)
    run(schedule, optimizer, 3)
    with pytest.raises(ValueError, match="4 times"):
        schedule.step()
