"""Devices: `rushlight.device("cpu")`, `"meta"` (shapes without values) and `"cuda:0"`."""

from __future__ import annotations

_TYPES = (
    "cpu",
    "cuda",
    "meta",
    "mps",
    "xpu",
    "mkldnn",
    "hpu",
    "vulkan",
    "mtia",
    "privateuseone",
    "ipu",
    "xla",
)


class device:
    """Where a tensor's elements live, as `torch.device`: equal by type and index.

    >>> import rushlight as rl
    >>> rl.device("cuda", 1)
    device(type='cuda', index=1)
    """

    __slots__ = ("index", "type")

    type: str
    index: int | None

    def __init__(self, type: str | int | device, index: int | None = None) -> None:
        if isinstance(type, device):
            index, type = type.index, type.type
        elif isinstance(type, int):
            index, type = type, "cuda"
        elif ":" in type:
            if index is not None:
                raise RuntimeError(
                    "type (string) must not include an index because index was passed explicitly: "
                    f"{type}"
                )
            type, _, text = type.partition(":")
            if not text.isdigit():
                raise RuntimeError(f"Invalid device string: '{type}:{text}'")
            index = int(text)
        if type not in _TYPES:
            expected = ", ".join(_TYPES)
            raise RuntimeError(
                f"Expected one of {expected} device type at start of device string: {type}"
            )
        self.type = type
        self.index = index

    def __eq__(self, other: object) -> bool:
        return isinstance(other, device) and self.type == other.type and self.index == other.index

    def __hash__(self) -> int:
        return hash((self.type, self.index))

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __repr__(self) -> str:
        return (
            f"device(type='{self.type}')"
            if self.index is None
            else f"device(type='{self.type}', index={self.index})"
        )

    def __enter__(self) -> device:
        """What is created inside is on this device unless it says otherwise."""
        DEFAULT.append(self)
        return self

    def __exit__(self, *error: object) -> None:
        DEFAULT.pop()

    def __reduce__(self) -> tuple[object, ...]:
        return device, (self.type, self.index)


CPU = device("cpu")
META = device("meta")
# Where tensors are created that name no device: the last one. The first is `set_default_device`'s,
# the others are those of `with device(...)`.
DEFAULT = [CPU]


def get_default_device() -> device:
    """Where a new tensor is that names no device, as `torch.get_default_device`."""
    return DEFAULT[-1]


def set_default_device(where: device | str | None) -> None:
    """Create tensors on that device unless they name one; None means the CPU.

    >>> import rushlight as rl
    >>> with rl.device("meta"):
    ...     x = rl.zeros(2, 3)
    >>> x.device
    device(type='meta')
    """
    DEFAULT[0] = CPU if where is None else device(where)
