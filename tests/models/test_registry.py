"""The registry: names, facts, and refusals that name the nearest known thing."""

import pytest

import rushlight as rl
from rushlight import models


def test_names_are_listed_by_pattern_in_order():
    assert models.list_models("resnet*") == ["resnet18", "resnet34", "resnet50"]
    assert {"convnet", "lenet", "mlp"} <= set(models.list_models())


def test_an_unknown_model_names_the_nearest_known_one():
    with pytest.raises(RuntimeError, match=r"unknown model 'resnet81'; did you mean 'resnet18'\?"):
        models.create_model("resnet81")


def test_an_unknown_option_is_refused_before_anything_is_built():
    with pytest.raises(TypeError, match=r"no option 'hiden'; did you mean 'hidden'\?"):
        models.create_model("mlp", hiden=(3,))


def test_a_name_cannot_be_taken_twice():
    def lenet(num_classes: int = 10, in_chans: int = 3) -> rl.nn.Module:
        return rl.nn.Flatten()

    with pytest.raises(ValueError, match="already registered by rushlight.models.lenet"):
        models.register_model(models.ModelConfig())(lenet)


@pytest.mark.parametrize("name", ["convnet", "lenet", "mlp", "resnet18"])
def test_each_model_gives_scores_and_every_parameter_a_gradient(name):
    rl.manual_seed(0)
    model = models.create_model(name, num_classes=7, in_chans=1, **_small(name))
    scores = model(rl.randn(2, 1, 16, 16))
    assert tuple(scores.shape) == (2, 7)
    scores.square().sum().backward()
    without = [key for key, parameter in model.named_parameters() if parameter.grad is None]
    assert without == []


def _small(name: str) -> dict[str, int]:
    return {"image_size": 16} if models.model_config(name).fixed_input_size else {}


@pytest.mark.parametrize("name", models.list_models())
def test_the_config_names_the_modules_that_depend_on_data(name):
    config = models.model_config(name)
    modules = dict(models.create_model(name, num_classes=5, in_chans=3).named_modules())
    first, last = modules[config.first_conv], modules[config.classifier]
    assert getattr(first, "in_channels", first.weight.shape[-1]) in (3, 3 * 28 * 28)
    assert last.out_features == 5
