"""From names to objects: schedules by formula, refusals by key."""

import pytest

from rushlight.train.problems import RunError
from rushlight.train.recipe import (
    OPTIMIZERS,
    build_loss,
    build_model,
    build_optimizer,
    complete,
    learning_rate,
    preprocessing_of,
)
from rushlight.train.settings import ScheduleSettings, resolve


def _rates(steps=10, epochs=4, **values):
    settings = ScheduleSettings(**values)
    return [learning_rate(2.0, settings, step, steps, epochs) for step in range(steps * epochs)]


def test_cosine_falls_from_the_peak_to_the_floor():
    rates = _rates(warmup_epochs=0.0, floor=0.1)
    assert rates[0] == 2.0
    assert rates[20] == pytest.approx(2.0 * (0.1 + 0.9 * 0.5))
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] > 0.2


def test_warm_up_grows_linearly_from_the_first_step():
    rates = _rates(name="constant", warmup_epochs=0.5)
    assert rates[:6] == pytest.approx([0.4, 0.8, 1.2, 1.6, 2.0, 2.0])


def test_steps_drop_by_gamma():
    rates = _rates(name="step", warmup_epochs=0.0, step_epochs=2.0, gamma=0.5)
    assert rates == [2.0] * 20 + [1.0] * 20


def test_what_is_left_open_is_filled_in():
    settings = complete(resolve([], []))
    assert (settings.data.image_size, settings.data.channels) == (8, 1)
    assert settings.data.augment == "affine"
    assert settings.optimizer.lr == OPTIMIZERS["sgd"].lr
    photos = complete(
        resolve([], [("data", "photos"), ("model", "resnet18"), ("optimizer.lr", "1")])
    )
    assert (photos.data.image_size, photos.data.channels) == (224, 3)
    assert photos.data.augment == "crop"
    assert photos.optimizer.lr == 1.0
    assert preprocessing_of(photos).mean == (0.485, 0.456, 0.406)
    assert preprocessing_of(settings).mean == (0.5,)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (
            [("model", "resnet81")],
            r"model.name: unknown model 'resnet81'; did you mean 'resnet18'\?",
        ),
        (
            [("model", "lenet"), ("data.image_size", "8")],
            "data.image_size: 8 is too small for lenet",
        ),
        (
            [("loss", "multi_margin"), ("loss.label_smoothing", "0.1")],
            "loss.label_smoothing: the loss multi_margin has none",
        ),
    ],
)
def test_what_cannot_work_is_refused_by_key(texts, message):
    with pytest.raises(RunError, match=message):
        complete(resolve([], texts))


def test_wrong_options_of_a_model_are_refused_by_key():
    shape = preprocessing_of(complete(resolve([], [])))
    with pytest.raises(
        RunError, match=r"model.options: .*no option 'width'; did you mean 'widths'"
    ):
        build_model("convnet", {"width": 3}, shape, 10)
    with pytest.raises(RunError, match=r"model.options.num_classes: follows from the data"):
        build_model("convnet", {"num_classes": 3}, shape, 10)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_is_built_with_its_settings(name):
    settings = complete(resolve([], [("optimizer", name), ("optimizer.weight_decay", "0.25")]))
    model = build_model("mlp", {"hidden": [4]}, preprocessing_of(settings), 3)
    group = build_optimizer(model, settings.optimizer).param_groups[0]
    assert group["lr"] == OPTIMIZERS[name].lr
    assert group["weight_decay"] == 0.25


def test_the_rate_of_sgd_follows_the_batch_and_that_of_adam_does_not():
    small = [("batch_size", "16")]
    assert complete(resolve([], small)).optimizer.lr == OPTIMIZERS["sgd"].lr / 4
    adam = complete(resolve([], [*small, ("optimizer", "adam")]))
    assert adam.optimizer.lr == OPTIMIZERS["adam"].lr


def test_balanced_weights_keep_the_scale_of_the_loss():
    counts = [10, 30, 0]
    settings = complete(resolve([], [("loss.class_weights", "balanced")]))
    weight = build_loss(settings.loss, counts).weight.tolist()
    assert sum(c * w for c, w in zip(counts[:2], weight, strict=False)) == pytest.approx(40 * 2 / 3)
    assert weight[0] == pytest.approx(3 * weight[1])
