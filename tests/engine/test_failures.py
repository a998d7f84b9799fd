"""A program that fails: what is lost, what is not, and what the error says."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Iterator

import numpy as np
import pytest

import rushlight as rl
from rushlight.base.settings import SETTINGS
from rushlight.engine.flush import PROGRAMS, flush
from rushlight.tensor import storage


@pytest.fixture(params=["compiled", "interpreted"])
def way(request: pytest.FixtureRequest) -> Iterator[str]:
    """Both ways of running a graph keep the same promises."""
    SETTINGS.interpret = request.param == "interpreted"
    yield request.param
    SETTINGS.interpret = False


def later(values: list[int]) -> rl.Tensor:
    """Integers that are not known at the call."""
    return rl.tensor(values) * 1


def test_a_bad_index_names_operation_range_operands_and_line(way: str) -> None:
    table = rl.randn(5, 3)
    picked = table[later([1, 7, -1])]  # the line that the error must name
    line = traceback.extract_stack()[-1].lineno - 1
    with pytest.raises(IndexError) as caught:
        picked.tolist()
    message = str(caught.value)
    assert "out of bounds" in message and "index()" in message
    assert "from -1 to 7" in message and "float32[5, 3]" in message
    assert f"test_failures.py:{line}" in message


@pytest.mark.parametrize(
    "use",
    [
        lambda: rl.nn.functional.embedding(later([3, 11]), rl.ones(10, 2)),
        lambda: rl.zeros(3, 3).gather(0, later([0, 5, 1]).reshape(1, 3)),
        lambda: rl.zeros(3, 3).index_select(1, later([4])),
        lambda: rl.zeros(4).index_add(0, later([9]), rl.ones(1)),
        lambda: rl.zeros(4).scatter(0, later([-9]), 1.0),
        lambda: rl.nn.functional.cross_entropy(rl.zeros(2, 3), later([1, 3])),
    ],
    ids=["embedding", "gather", "index_select", "index_add", "scatter", "cross_entropy"],
)
def test_bad_indices_raise_and_name_this_file(use: object, way: str) -> None:
    with pytest.raises((IndexError, RuntimeError), match=r"test_failures\.py|out of"):
        use().tolist()  # type: ignore[operator]


def test_nan_as_an_index_does_not_crash() -> None:
    position = rl.tensor([float("nan"), float("inf")]).long()
    with pytest.raises(IndexError):
        rl.zeros(4)[position].tolist()


def test_what_does_not_depend_on_the_failure_is_computed(way: str) -> None:
    table, bad = rl.randn(5, 3), later([9])
    before = rl.ones(4) * 3
    failed = table[bad] * 2
    reduced = (table * table).sum()
    product = table @ table.t()
    with pytest.raises(IndexError):
        failed.tolist()
    assert before.tolist() == [3.0] * 4
    assert np.allclose(reduced.item(), (table.numpy() ** 2).sum())
    assert np.allclose(product.numpy(), table.numpy() @ table.numpy().T, atol=1e-5)
    with pytest.raises(IndexError):  # the lost value says why it is lost, again and again
        failed.tolist()
    with pytest.raises((IndexError, RuntimeError), match="lost"):
        failed + 1


def test_what_should_have_been_overwritten_keeps_its_value(way: str) -> None:
    """As in PyTorch, where the failing line comes before the update of the weights."""
    weight = rl.ones(5, 3)
    weight.tolist()
    other = rl.zeros(3)
    other.tolist()
    weight.sub_(weight[later([9])].sum())
    other.copy_(weight[0])
    with pytest.raises(IndexError):
        rl._step_boundary()
    assert weight.tolist() == [[1.0] * 3] * 5
    assert other.tolist() == [0.0] * 3
    weight.add_(1)
    assert weight[0, 0].item() == 2.0


def test_a_training_step_that_fails_leaves_the_model_trainable() -> None:
    model = rl.nn.Sequential(rl.nn.Embedding(10, 4), rl.nn.Flatten(), rl.nn.Linear(8, 2))
    optimizer = rl.optim.SGD(model.parameters(), lr=0.1)

    def step(tokens: list[list[int]]) -> float:
        optimizer.zero_grad()
        loss = model(rl.tensor(tokens) * 1).square().mean()
        loss.backward()
        optimizer.step()
        return loss.item()

    first = step([[1, 2], [3, 4]])
    with pytest.raises(IndexError):
        step([[1, 2], [3, 40]])
    optimizer.zero_grad()
    assert step([[1, 2], [3, 4]]) < first
    assert all(np.isfinite(p.detach().numpy()).all() for p in model.parameters())


def test_integer_division_by_zero(way: str) -> None:
    good = rl.ones(3) + 1
    quotient = later([1, 2, 3]) // later([1, 0, 1])
    with pytest.raises(RuntimeError, match="ZeroDivisionError") as caught:
        quotient.tolist()
    assert any("test_failures.py" in note for note in getattr(caught.value, "__notes__", ()))
    assert good.tolist() == [2.0] * 3


def test_a_failing_host_function_names_its_line() -> None:
    sizes = rl.linalg.svdvals(rl.full((3, 3), float("nan")))
    with pytest.raises(RuntimeError, match="failed to converge") as caught:
        sizes.tolist()
    assert any("test_failures.py" in note for note in getattr(caught.value, "__notes__", ()))


def test_the_program_is_not_poisoned_by_a_failure() -> None:
    """The same lines with good indices run the cached program."""

    def look(indices: list[int]) -> list:
        return rl.arange(5)[later(indices)].tolist()

    assert look([4, 0]) == [4, 0]
    count = len(PROGRAMS)
    with pytest.raises(IndexError):
        look([5, 0])
    assert look([1, 2]) == [1, 2]
    assert len(PROGRAMS) == count


def test_a_tensor_that_is_too_large_for_memory() -> None:
    small = rl.ones(3) * 2
    with pytest.raises(RuntimeError):
        huge = rl.ones(1 << 30, 1 << 14) + 1
        huge.sum(0).tolist()
    assert small.tolist() == [2.0] * 3


@pytest.mark.parametrize("size", [0, 1, 2**31, 2**62, 2**63 - 1])
def test_hostile_sizes(size: int) -> None:
    """They work, or raise; nothing wraps around and nothing crashes."""
    if size < 2:
        assert rl.zeros(size).sum().item() == 0.0
        assert rl.ones(size, 3).sum(0).tolist() == [float(size)] * 3
        return
    with pytest.raises((RuntimeError, MemoryError, ValueError)):
        (rl.zeros(size, 64) + 1).sum().item()
    with pytest.raises((RuntimeError, MemoryError, ValueError)):
        rl.zeros(4).expand(size, 4).contiguous().sum().item()
    with pytest.raises((RuntimeError, IndexError)):
        rl.zeros(4).narrow(0, size, 1)
    with pytest.raises((RuntimeError, IndexError)):
        rl.zeros(4).as_strided((2, 2), (size, 1)).tolist()
    with pytest.raises((RuntimeError, MemoryError, ValueError)):
        rl.zeros(2).repeat(size, 2).tolist()


MISMATCHES = [
    ("add", lambda: rl.ones(3, 4) + rl.ones(3, 5), RuntimeError, ("4", "5", "1")),
    ("matmul", lambda: rl.ones(3, 4) @ rl.ones(5, 2), RuntimeError, ("3", "4", "5", "2")),
    (
        "linear",
        lambda: rl.nn.functional.linear(rl.ones(3, 4), rl.ones(2, 5)),
        RuntimeError,
        ("4", "5"),
    ),
    ("cat", lambda: rl.cat((rl.ones(2, 3), rl.ones(2, 4))), RuntimeError, ("3", "4")),
    ("reshape", lambda: rl.ones(6).reshape(4, 2), RuntimeError, ("4, 2", "6")),
    ("bmm", lambda: rl.bmm(rl.ones(2, 3, 4), rl.ones(3, 4, 2)), RuntimeError, ("2", "3")),
    (
        "mm of dtypes",
        lambda: rl.ones(2, 2) @ rl.ones(2, 2, dtype=rl.float64),
        RuntimeError,
        ("float", "double"),
    ),
    (
        "conv",
        lambda: rl.nn.functional.conv2d(rl.ones(1, 3, 5, 5), rl.ones(2, 4, 3, 3)),
        RuntimeError,
        ("3", "4"),
    ),
]


@pytest.mark.parametrize(
    ("name", "call", "kind", "words"), MISMATCHES, ids=[m[0] for m in MISMATCHES]
)
def test_mismatches_name_both_operands_at_the_call(
    name: str, call: object, kind: type, words: tuple[str, ...]
) -> None:
    with pytest.raises(kind) as caught:
        call()  # type: ignore[operator]
    for word in words:
        assert word in str(caught.value).lower()


def test_recording_from_several_threads_at_once() -> None:
    """Each thread gets its own values, whoever flushes."""
    failures: list[str] = []

    def work(number: int) -> None:
        x = rl.full((16,), float(number))
        for k in range(150):
            y = x * 2 + k
            z = y.clone()
            z += 1
            total = (z - y).sum() + y[0]
            if k % 7 == 0 and total.item() != 16 + 2 * number + k:
                failures.append(f"thread {number}, step {k}: {total.item()}")
        if (x * 1).tolist() != [float(number)] * 16:
            failures.append(f"thread {number}")

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_backward_from_several_threads_at_once() -> None:
    results: dict[int, list[float]] = {}

    def work(number: int) -> None:
        x = rl.full((4,), float(number), requires_grad=True)
        for _ in range(20):
            x.grad = None
            (x * x).sum().backward()
        results[number] = x.grad.tolist()

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {n: [2.0 * n] * 4 for n in range(4)}


def test_an_exported_array_is_written_even_if_something_else_failed() -> None:
    x = rl.zeros(4)
    array = x.numpy()
    lost = rl.arange(3)[later([7])]
    with pytest.raises(IndexError):
        rl.add(rl.ones(4), 2, out=x)
    assert array.tolist() == x.tolist() == [3.0] * 4
    x.add_(1)
    assert array.tolist() == [4.0] * 4
    with pytest.raises(IndexError):
        lost.tolist()


def test_nothing_is_read_for_the_border_of_an_empty_tensor() -> None:
    picked = rl.zeros(0)[rl.zeros(0, dtype=rl.int64)]
    assert rl.nn.functional.pad(picked, (1, 2), value=5.0).tolist() == [5.0] * 3


def test_a_value_can_be_read_while_another_thread_overwrites_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    x = rl.zeros(8)
    x.add_(1)
    writers = []

    def flush_and_write() -> None:
        """The flush of a reader, and at its very end a write by somebody else."""
        flush()
        if not writers:
            writers.append(threading.Thread(target=lambda: x.add_(1)))
            writers[0].start()
            writers[0].join(0.2)

    monkeypatch.setattr(storage, "flush", flush_and_write)
    assert x.tolist() == [1.0] * 8
    writers[0].join()
    assert x.tolist() == [2.0] * 8


def test_an_embedding_says_what_pytorch_says() -> None:
    with pytest.raises(IndexError, match="index out of range in self.*embedding") as caught:
        rl.nn.functional.embedding(rl.tensor([1, 7]), rl.ones(3, 2)).sum().item()
    assert "test_failures.py" in str(caught.value)
