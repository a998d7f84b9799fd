"""LeNet-5, the convolution net that read handwriting.

In: (N, C, H, W) of one fixed size. Out: (N, num_classes) scores.
"""

from __future__ import annotations

from rushlight import Tensor, nn

from .registry import ModelConfig, register_model

__all__ = ["LeNet", "lenet"]


class LeNet(nn.Module):
    """Two 5x5 convolutions with 2x2 pooling, then three linear layers.

    The shape follows LeCun, Bottou, Bengio and Haffner, "Gradient-based learning applied to
    document recognition" (1998), with rectifiers and maximum pooling in place of their scaled
    tangents and trained averages. The first convolution pads by 2, so that 28x28 images take the
    place of the paper's 32x32.

    >>> import rushlight as rl
    >>> rl.models.LeNet(num_classes=10)(rl.zeros(2, 3, 28, 28)).shape
    torch.Size([2, 10])
    """

    def __init__(self, num_classes: int = 10, in_chans: int = 3, image_size: int = 28) -> None:
        super().__init__()
        if image_size < 12:
            raise ValueError(f"lenet needs images of at least 12 pixels, got {image_size}")
        side = (image_size // 2 - 4) // 2
        self.conv1 = nn.Conv2d(in_chans, 6, 5, padding=2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.pool = nn.MaxPool2d(2)
        self.act = nn.ReLU()
        self.flatten = nn.Flatten()
        self.fc1 = nn.Linear(16 * side * side, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc = nn.Linear(84, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, num_classes)."""
        x = self.pool(self.act(self.conv1(x)))
        x = self.flatten(self.pool(self.act(self.conv2(x))))
        scores: Tensor = self.fc(self.act(self.fc2(self.act(self.fc1(x)))))
        return scores


@register_model(
    ModelConfig(
        input_size=(3, 28, 28),
        fixed_input_size=True,
        smallest_size=12,
        num_classes=10,
        paper="LeCun et al. 1998, doi:10.1109/5.726791",
    )
)
def lenet(num_classes: int = 10, in_chans: int = 3, image_size: int = 28) -> LeNet:
    """Build a `LeNet` for square images of `image_size` pixels."""
    return LeNet(num_classes, in_chans, image_size)
