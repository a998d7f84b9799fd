"""The registry: names, facts, and refusals that name the nearest known thing."""

import pytest

import rushlight as rl
from rushlight import models


def test_names_are_listed_by_pattern_in_order():
    assert models.list_models("resnet?*")[:3] == ["resnet101", "resnet152", "resnet18"]
    assert {"convnet", "lenet", "mlp"} <= set(models.list_models())


def test_an_unknown_model_names_the_nearest_known_one():
    with pytest.raises(RuntimeError, match=r"unknown model 'lenett'; did you mean 'lenet'\?"):
        models.create_model("lenett")


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
    with rl.device("meta"):
        modules = dict(models.create_model(name, num_classes=5, in_chans=3).named_modules())
    first = modules[config.first_conv]
    assert getattr(first, "in_channels", first.weight.shape[-1]) in (3, 3 * 28 * 28)
    classifiers = (config.classifier,) if isinstance(config.classifier, str) else config.classifier
    assert all(modules[classifier].out_features == 5 for classifier in classifiers)


@pytest.mark.parametrize("name", ["densenet121", "vgg11", "regnety_002", "mixer_s32_224"])
def test_a_classifier_can_be_replaced(name):
    with rl.device("meta"):
        model = models.create_model(name)
        size = models.model_config(name).input_size[-1]
        model.reset_classifier(7)
        assert tuple(model(rl.zeros(2, 3, size, size)).shape) == (2, 7)
        assert model.get_classifier().out_features == 7
        model.reset_classifier(0)
        features = model.forward_features(rl.zeros(2, 3, size, size))
        pooled = model.forward_head(features, pre_logits=True)
        assert tuple(model(rl.zeros(2, 3, size, size)).shape) == tuple(pooled.shape)


def test_the_image_size_of_a_fixed_model_is_checked():
    model = models.create_model("vit_tiny_patch16_224", image_size=32)
    with pytest.raises(
        RuntimeError, match="takes images of 32x32 pixels, got 48x48; build it with"
    ):
        model(rl.zeros(1, 3, 48, 48))
