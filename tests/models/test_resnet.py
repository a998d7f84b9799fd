"""ResNets carry torchvision's parameter names, shapes and counts."""

import pytest

import rushlight as rl
from rushlight import models


# The counts that torchvision's documentation gives for 1000 classes.
@pytest.mark.parametrize(
    ("name", "parameters", "keys"),
    [("resnet18", 11_689_512, 122), ("resnet34", 21_797_672, 218), ("resnet50", 25_557_032, 320)],
)
def test_parameters_and_keys_are_as_published(name, parameters, keys):
    model = models.create_model(name)
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters
    assert len(model.state_dict()) == keys


def test_state_dict_keys_are_torchvisions():
    keys = list(models.resnet18().state_dict())
    assert keys[:6] == [
        "conv1.weight",
        "bn1.weight",
        "bn1.bias",
        "bn1.running_mean",
        "bn1.running_var",
        "bn1.num_batches_tracked",
    ]
    assert keys[6] == "layer1.0.conv1.weight"
    assert keys[-2:] == ["fc.weight", "fc.bias"]
    assert {"layer2.0.downsample.0.weight", "layer2.0.downsample.1.running_var"} <= set(keys)
    assert "layer1.0.downsample.0.weight" not in keys


def test_zero_initialised_blocks_begin_as_the_identity():
    rl.manual_seed(0)
    block = models.resnet18(zero_init_residual=True).layer1[0].eval()
    x = rl.rand(1, 64, 6, 6)
    with rl.no_grad():
        assert rl.equal(block(x), x)


def test_initial_convolutions_follow_kaimings_rule():
    rl.manual_seed(0)
    weight = models.resnet18().layer4[1].conv2.weight
    expected = (2 / (512 * 9)) ** 0.5
    assert float(weight.detach().std()) == pytest.approx(expected, rel=0.01)
