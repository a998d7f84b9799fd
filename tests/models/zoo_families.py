"""Our own models beside timm's of the same name: one variant of every form that a family takes.

In: the table below. Out: rows as in `timm_families.py`. timm runs over PyTorch, ours over
rushlight, with the same weights by the same names.

    python tests/models/zoo_families.py [NAME ...]
"""

from __future__ import annotations

import sys
from typing import Any

from timm_families import Row, Worker, compare

# name -> (options of ours, image). Without an image, the first that timm's takes.
ZOO: dict[str, tuple[dict[str, Any], int | None]] = {
    "resnet18": ({}, None),
    "resnet50": ({}, None),
    "resnext50_32x4d": ({}, None),
    "wide_resnet50_2": ({}, None),
    "densenet121": ({}, None),
    "vgg11_bn": ({}, None),
    "mobilenetv2_050": ({}, None),
    "mobilenetv2_110d": ({}, None),
    "mobilenetv3_small_050": ({}, None),
    "mobilenetv3_large_100": ({}, None),
    "tf_mobilenetv3_small_100": ({}, None),
    "efficientnet_b0": ({}, None),
    "tf_efficientnet_b0": ({}, None),
    "efficientnet_lite0": ({}, None),
    "tf_efficientnet_lite0": ({}, None),
    "convnext_atto": ({}, None),
    "convnext_tiny": ({}, None),
    "vit_tiny_patch16_224": ({"image_size": 64}, None),
    "deit_tiny_distilled_patch16_224": ({"image_size": 64}, None),
    "deit3_small_patch16_224": ({"image_size": 64}, None),
    "swin_tiny_patch4_window7_224": ({}, 224),
    "mixer_s32_224": ({"image_size": 64}, None),
    "regnetx_002": ({}, None),
    "regnety_002": ({}, None),
}


def compare_model(name: str, oracle: Worker, ours: Worker) -> Row:
    """One model of ours beside timm's."""
    options, image = ZOO[name]
    return compare(name, name, oracle, ours, zoo=options, image=image)


def main() -> None:
    """Compare models and print a line for each."""
    oracle, ours = Worker("torch"), Worker("rushlight")
    try:
        for name in sys.argv[1:] or ZOO:
            row = compare_model(name, oracle, ours)
            figures = f"{row.output:.1e} {row.gradient:.1e} ({row.dtype}) {row.worst}"
            print(name, "agrees" if row.agrees else "DIFFERS", row.error or figures, flush=True)
    finally:
        oracle.close()
        ours.close()


if __name__ == "__main__":
    main()
