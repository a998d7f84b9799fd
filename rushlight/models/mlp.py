"""A multilayer perceptron on flattened images: the plainest baseline.

In: (N, C, H, W) of one fixed size. Out: (N, num_classes) scores.
"""

from __future__ import annotations

from collections.abc import Sequence

from rushlight import Tensor, nn

from .registry import ModelConfig, register_model

__all__ = ["MLP", "mlp"]


class MLP(nn.Module):
    """Hidden layers `relu(W x + b)`, optionally with dropout, then a linear classifier.

    >>> import rushlight as rl
    >>> rl.models.MLP(64, (32,), 10)(rl.zeros(2, 1, 8, 8)).shape
    torch.Size([2, 10])
    """

    def __init__(
        self, in_features: int, hidden: Sequence[int], num_classes: int, dropout: float = 0.0
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Flatten()]
        width = in_features
        for next_width in hidden:
            layers += [nn.Linear(width, next_width), nn.ReLU()]
            if dropout > 0:
                layers.append(nn.Dropout(dropout))
            width = next_width
        self.features = nn.Sequential(*layers)
        self.fc = nn.Linear(width, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, num_classes)."""
        scores: Tensor = self.fc(self.features(x))
        return scores


@register_model(
    ModelConfig(
        input_size=(3, 28, 28), fixed_input_size=True, num_classes=10, first_conv="features.1"
    )
)
def mlp(
    num_classes: int = 10,
    in_chans: int = 3,
    image_size: int = 28,
    hidden: Sequence[int] = (256, 128),
    dropout: float = 0.0,
) -> MLP:
    """Build an `MLP` for square images of `image_size` pixels."""
    return MLP(in_chans * image_size * image_size, hidden, num_classes, dropout)
