"""The schema: what is accepted, and how mistakes are named."""

import pytest

from rushlight.train.problems import RunError
from rushlight.train.settings import Settings, describe, flatten, resolve, to_dict


def test_without_anything_the_defaults_stand():
    assert resolve([], []) == Settings()


def test_later_layers_and_texts_win():
    settings = resolve(
        [{"epochs": 3, "optimizer": {"lr": 1}}, {"epochs": 4, "optimizer.momentum": 0.5}],
        [("epochs", "5"), ("data.val_fraction", "1e-1"), ("optimizer.weight_decay", "null")],
    )
    assert settings.epochs == 5
    assert settings.optimizer.lr == 1.0
    assert isinstance(settings.optimizer.lr, float)
    assert settings.optimizer.momentum == 0.5
    assert settings.data.val_fraction == 0.1
    assert settings.optimizer.weight_decay is None


def test_a_section_written_as_one_value_means_its_leading_key():
    settings = resolve(
        [{"model": "lenet", "schedule": "step"}], [("data", "photos"), ("loss", "multi_margin")]
    )
    assert settings.model.name == "lenet"
    assert settings.schedule.name == "step"
    assert settings.data.path == "photos"
    assert settings.loss.name == "multi_margin"


def test_what_is_written_comes_back():
    settings = resolve([], [("model", "mlp"), ("epochs", "7"), ("data.channels", "3")])
    assert resolve([to_dict(settings)], []) == settings


def test_options_of_a_model_are_free():
    settings = resolve([{"model": {"options": {"hidden": [3, 4]}}}], [])
    assert settings.model.options == {"hidden": [3, 4]}


def test_options_of_a_model_can_be_texts():
    settings = resolve([{"model.options.dropout": 0.5}], [("model.options.widths", "[8, 16]")])
    assert settings.model.options == {"dropout": 0.5, "widths": [8, 16]}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("epohcs", "3", r"unknown key 'epohcs'; did you mean 'epochs'\?"),
        ("lr", "3", r"unknown key 'lr'; did you mean 'optimizer.lr'\?"),
        ("optimizer.lrr", "3", r"unknown key 'optimizer.lrr'; did you mean 'optimizer.lr'\?"),
        ("data.pth", "x", r"unknown key 'data.pth'; did you mean 'data.path'\?"),
        ("epochs", "three", "epochs: got 'three', expected a whole number"),
        ("epochs", "2.5", "epochs: got '2.5', expected a whole number"),
        ("epochs", "0", "epochs: got '0', expected a number of at least 1"),
        (
            "data.val_fraction",
            "1.5",
            "data.val_fraction: got '1.5', expected a number of at most 0.9",
        ),
        ("optimizer.lr", "nan", "optimizer.lr: got 'nan', expected a finite number"),
        ("schedule", "cosin", "schedule.name: got 'cosin', expected one of cosine, step, constant"),
        ("data.on_error", "ignore", "data.on_error: got 'ignore', expected one of stop, skip"),
        ("data.channels", "2", "data.channels: got '2', expected one of 1, 3 or nothing"),
        ("epochs.x", "2", "epochs: got {'x': '2'}"),
    ],
)
def test_a_wrong_text_is_named(name, text, message):
    with pytest.raises(RunError, match=message):
        resolve([], [(name, text)])


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ({"epochs": "3"}, "epochs: got '3', expected a whole number"),
        ({"epochs": True}, r"epochs: got True \(bool\), expected a whole number"),
        ({"epochs": 3.0}, r"epochs: got 3.0 \(float\), expected a whole number"),
        ({"optimizer": {"lr": "fast"}}, "optimizer.lr: got 'fast', expected a number"),
        ({"model": {"name": 5}}, r"model.name: got 5 \(int\), expected text"),
        ({"model": 5}, r"model.name: got 5 \(int\), expected text"),
        ({"optimizer": {"momentun": 0.9}}, r"did you mean 'optimizer.momentum'\?"),
        ({3: 4}, "3: a key must be text"),
        ({"seed": None}, r"seed: got None \(NoneType\), expected a whole number"),
    ],
)
def test_a_wrong_value_is_named(layer, message):
    with pytest.raises(RunError, match=message):
        resolve([layer], [])


def test_every_key_is_described():
    text = describe()
    assert all(f"  {name} " in text for name in flatten(Settings()))
