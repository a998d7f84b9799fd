"""Parameters at rest and learning rates by layer."""

import pytest

import rushlight as rl
from rushlight import models
from rushlight.models.finetune import layers_of


def test_frozen_parts_get_no_gradient_and_keep_their_statistics():
    rl.manual_seed(0)
    model = models.create_model("resnet18", num_classes=3, depths=(1, 1, 1, 1))
    models.freeze(model, "conv1", "bn1", "layer[12]")
    assert {name for name, p in model.named_parameters() if not p.requires_grad} == {
        name
        for name, _ in model.named_parameters()
        if name.startswith(("conv1.", "bn1.", "layer1.", "layer2."))
    }
    before = {name: value.clone() for name, value in model.named_buffers()}
    model.train()
    model(rl.randn(2, 3, 32, 32)).sum().backward()
    after = dict(model.named_buffers())
    changed = {name.split(".")[0] for name in before if not rl.equal(before[name], after[name])}
    assert changed == {"layer3", "layer4"}
    assert model.layer1[0].conv1.weight.grad is None
    assert model.layer3[0].conv1.weight.grad is not None

    models.unfreeze(model)
    assert all(p.requires_grad for p in model.parameters())
    model(rl.randn(2, 3, 32, 32)).sum().backward()
    assert not rl.equal(model.bn1.running_mean, before["bn1.running_mean"])


def test_by_rule_all_but_the_classifiers_rests():
    model = models.create_model("deit_tiny_distilled_patch16_224", num_classes=3, image_size=32)
    models.freeze(model)
    learning = [name for name, p in model.named_parameters() if p.requires_grad]
    assert learning == ["head.weight", "head.bias", "head_dist.weight", "head_dist.bias"]


def test_a_pattern_that_fits_nothing_names_the_nearest_part():
    model = models.create_model("resnet18", num_classes=3)
    with pytest.raises(ValueError, match="no parameter fits 'layers1'; did you mean 'layer1"):
        models.freeze(model, "layers1")


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("resnet18", 1 + 8 + 1),
        ("vit_tiny_patch16_224", 1 + 1 + 12 + 1),
        ("convnext_atto", 1 + 12 + 3 + 1),
        ("mobilenetv3_small_050", 1 + 12 + 1 + 1),
        ("densenet121", 1 + 58 + 3 + 1),
    ],
)
def test_layers_are_blocks_in_order_and_hold_every_parameter_once(name, count):
    with rl.device("meta"):
        model = models.create_model(name, num_classes=3)
    layers = layers_of(model)
    flat = [parameter for layer in layers for parameter in layer]
    assert sorted(flat) == sorted(key for key, _ in model.named_parameters())
    assert len(flat) == len(set(flat))
    assert len(layers) == count


def test_learning_rates_fall_towards_the_input_and_vectors_do_not_decay():
    model = models.create_model("vit_tiny_patch16_224", num_classes=3, image_size=32, depth=3)
    models.freeze(model, "patch_embed")
    groups = models.parameter_groups(model, 1.0, weight_decay=0.1, layer_decay=0.5)
    rate = {name: group["lr"] for group in groups for name in group["names"]}
    decay = {name: group["weight_decay"] for group in groups for name in group["names"]}
    assert rate["head.weight"] == 1.0
    assert rate["blocks.2.attn.qkv.weight"] == 0.5
    assert rate["blocks.0.attn.qkv.weight"] == pytest.approx(0.5**3)
    assert "patch_embed.proj.weight" not in rate
    assert decay["blocks.0.attn.qkv.weight"] == 0.1
    assert decay["blocks.0.norm1.weight"] == decay["cls_token"] == decay["pos_embed"] == 0.0
    before = model.blocks[0].mlp.fc1.weight.detach().clone()
    optimizer = rl.optim.AdamW(groups)
    model(rl.randn(2, 3, 32, 32)).square().sum().backward()
    optimizer.step()
    assert not rl.equal(before, model.blocks[0].mlp.fc1.weight)
