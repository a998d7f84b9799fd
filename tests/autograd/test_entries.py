"""What an entry of the tape is called, where it leads, and what it refuses, beside PyTorch's.

In: small programs written once for both modules. Out: names, edges and errors compared. Invariant:
`type(y.grad_fn).__name__`, `.name()` and the printed form agree.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import rushlight

torch = pytest.importorskip("torch")

Program = Callable[[Any, Any], Any]

# by module and a 3 x 4 leaf
NAMED: dict[str, Program] = {
    "add": lambda m, x: x + 1,
    "number less": lambda m, x: 1 - x,
    "scaled sub": lambda m, x: m.sub(x, x, alpha=2),
    "power": lambda m, x: x**2,
    "power of number": lambda m, x: 2**x,
    "power of tensor": lambda m, x: x**x,
    "square": lambda m, x: x.square(),
    "remainder": lambda m, x: x.remainder(m.ones(4)),
    "rounded division": lambda m, x: m.div(x, 2, rounding_mode="trunc"),
    "clamp": lambda m, x: x.clamp(0, 1),
    "clamp by tensor": lambda m, x: x.clamp(min=x),
    "clamp_min": lambda m, x: x.clamp_min(0),
    "sum": lambda m, x: x.sum(),
    "sum dim": lambda m, x: x.sum(0),
    "mean dim": lambda m, x: x.mean((0, 1)),
    "max of all": lambda m, x: x.max(),
    "stable sort": lambda m, x: x.sort(dim=0, stable=True)[0],
    "vector product": lambda m, x: x[0] @ x[1],
    "matrix vector": lambda m, x: x @ x[0],
    "matrix product": lambda m, x: x @ x.mT,
    "batched product": lambda m, x: m.ones(2, 5, 3) @ x,
    "linear": lambda m, x: m.nn.functional.linear(x, m.ones(2, 4), m.ones(2)),
    "linear batches": lambda m, x: m.nn.functional.linear(x[None], m.ones(2, 4), m.ones(2)),
    "reshape copy": lambda m, x: x.t().reshape(-1),
    "squeeze": lambda m, x: x[None].squeeze(0),
    "squeeze all": lambda m, x: x[None].squeeze(),
    "split": lambda m, x: x.split(2)[0],
    "t": lambda m, x: x.t(),
    "written slice": lambda m, x: _written(m, x),
    "whole slice filled": lambda m, x: _written_whole(m, x),
    "whole slice": lambda m, x: x[:],
    "copied into": lambda m, x: m.zeros(3, 4).copy_(x),
    "view copy": lambda m, x: m.transpose_copy(x, 0, 1),
    "diagonal": lambda m, x: m.diag(x),
    "take": lambda m, x: x.take(m.tensor([1])),
    "cross entropy": lambda m, x: m.nn.functional.cross_entropy(x, m.tensor([0, 1, 2])),
    "cross entropy of probabilities": lambda m, x: m.nn.functional.cross_entropy(x, m.ones(3, 4)),
    "l1": lambda m, x: m.nn.functional.l1_loss(x, m.ones(3, 4)),
    "unbatched convolution": lambda m, x: m.nn.functional.conv1d(x, m.ones(2, 3, 2)),
    "pool to one": lambda m, x: m.nn.functional.adaptive_avg_pool2d(x[None], 1),
    "interpolate": lambda m, x: m.nn.functional.interpolate(x[None], 8, mode="linear"),
    "reflect": lambda m, x: m.nn.functional.pad(x, (1, 1), mode="reflect"),
    "glu": lambda m, x: m.nn.functional.glu(x),
    "log1p": lambda m, x: x.log1p(),
    "special": lambda m, x: m.special.entr(x),
}


def _written(m: Any, x: Any) -> Any:
    y = m.zeros(3, 4)
    y[0] = x[0]
    return y


def _written_whole(m: Any, x: Any) -> Any:
    y = x * 2
    y[:] = 3
    return y


def _leaf(module: Any) -> Any:
    return module.linspace(0.1, 1.2, 12).reshape(3, 4).requires_grad_()


@pytest.mark.parametrize("title", NAMED)
def test_names(title: str) -> None:
    mine, theirs = (NAMED[title](m, _leaf(m)).grad_fn for m in (rushlight, torch))
    assert type(mine).__name__ == type(theirs).__name__
    assert mine.name() == theirs.name()
    assert repr(mine).split(" ")[0] == repr(theirs).split(" ")[0]


@pytest.mark.parametrize("title", ["add", "written slice", "copied into", "linear", "glu"])
def test_printed(title: str) -> None:
    mine, theirs = (repr(NAMED[title](m, _leaf(m))) for m in (rushlight, torch))
    assert mine.partition("grad_fn")[2] == theirs.partition("grad_fn")[2] != ""


EDGES: dict[str, Program] = {
    "number": lambda m, x: x * 2,
    "constant first": lambda m, x: m.ones(3, 4) * x,
    "scalar exponent": lambda m, x: x**2,
    "bounds": lambda m, x: x.clamp(0, 1),
    "index has none": lambda m, x: x.gather(0, m.zeros(1, 4, dtype=m.int64)),
    "no bias": lambda m, x: m.nn.functional.conv1d(m.ones(1, 3, 4), x[None, :, :2]),
    "sequence": lambda m, x: m.cat([m.ones(3, 4), x]),
    "copy": lambda m, x: m.zeros(3, 4).copy_(x),
}


@pytest.mark.parametrize("title", EDGES)
def test_edges(title: str) -> None:
    def edges(m: Any) -> list:
        entry = EDGES[title](m, _leaf(m)).grad_fn
        return [(e and e.name(), number) for e, number in entry.next_functions]

    assert edges(rushlight) == edges(torch)


def test_an_operand_keeps_its_own_name() -> None:
    x = rushlight.ones(2, 4, requires_grad=True) * 2
    assert rushlight.nn.functional.pixel_shuffle(x[None], 1) is not x
    assert type(x.grad_fn).__name__ == "MulBackward0"


# --- what must not be overwritten before backward -------------------------------------------------

# (program, place of the overwritten operand): PyTorch raises for some and not for others
OVERWRITTEN: dict[str, Program] = {
    "mul": lambda m, x: x * x,
    "exp": lambda m, x: x.exp(),
    "sigmoid": lambda m, x: x.sigmoid(),
    "sum": lambda m, x: x.sum(),
    "avg_pool": lambda m, x: m.nn.functional.avg_pool2d(x[None], 2),
    "cross_entropy": lambda m, x: m.nn.functional.cross_entropy(x, m.tensor([0, 1, 2])),
    "l1_loss": lambda m, x: m.nn.functional.l1_loss(x, m.ones(3, 4)),
    "nll_loss": lambda m, x: m.nn.functional.nll_loss(x, m.tensor([0, 1, 2])),
    "gather": lambda m, x: x.gather(0, m.zeros(1, 4, dtype=m.int64)),
    "frozen convolution": lambda m, x: m.nn.functional.conv1d(x[None], m.ones(2, 3, 2)),
    "erfinv": lambda m, x: (x / 2).erfinv(),
    "cummax": lambda m, x: x.cummax(0)[0],
    "reflect": lambda m, x: m.nn.functional.pad(x, (1, 1), mode="reflect"),
    "take": lambda m, x: x.take(m.tensor([1])),
    "rounded division": lambda m, x: m.div(x, 2, rounding_mode="trunc"),
}


@pytest.mark.parametrize("title", OVERWRITTEN)
def test_overwritten_operands(title: str) -> None:
    def attempt(m: Any) -> str:
        leaf = _leaf(m)
        x = leaf * 1
        y = OVERWRITTEN[title](m, x)
        with m.no_grad():
            x.add_(1)
        try:
            y.sum().backward()
        except RuntimeError as error:
            assert "modified by an inplace operation" in str(error)
            return "raises"
        return str([round(v, 3) for v in leaf.grad.flatten().tolist()])

    assert attempt(rushlight) == attempt(torch)


def test_the_error_names_both_sides() -> None:
    x = _leaf(rushlight) * 1
    y = x * x
    with rushlight.no_grad():
        x.add_(1)
    with pytest.raises(RuntimeError) as error:
        y.sum().backward()
    text = str(error.value)
    assert "[torch.FloatTensor [3, 4]], which is output 0 of Mul, is at version 1" in text
    assert "expected version 0 instead. It was saved for MulBackward0" in text
    assert "test_entries.py" in text


def test_a_frozen_operand_is_what_it_was_for_double_backward() -> None:
    def second(m: Any) -> list:
        leaf = _leaf(m)
        x = leaf * 1
        loss = m.nn.functional.cross_entropy(x, m.tensor([0, 1, 2]))
        with m.no_grad():
            x.zero_()
        (g,) = m.autograd.grad(loss, leaf, create_graph=True)
        (h,) = m.autograd.grad((g * g).sum(), leaf)
        return h.flatten().tolist()

    assert second(rushlight) == pytest.approx(second(torch), abs=1e-6)


def test_views_of_what_no_grad_overwrote_lead_to_their_base() -> None:
    def entries(m: Any) -> list:
        x = _leaf(m) * 1
        y = x.view(-1)
        with m.no_grad():
            x.add_(1)
        return [y.grad_fn.name(), y.grad_fn.next_functions[0][0].name()]

    assert entries(rushlight) == entries(torch)


@pytest.mark.parametrize("cut", ["split", "chunk", "unbind"])
def test_pieces_of_what_was_overwritten_are_refused(cut: str) -> None:
    x = _leaf(rushlight) * 1
    piece = getattr(x, cut)(*([2] if cut != "unbind" else []))[0]
    with rushlight.no_grad():
        x.add_(1)
    with pytest.raises(RuntimeError, match="is a view and its base"):
        piece.sum()


# --- the public names --------------------------------------------------------------------------


def test_no_internal_row_is_a_method() -> None:
    mine = {name for name in dir(rushlight.Tensor) if not name.startswith("_")}
    assert mine - set(dir(torch.Tensor)) <= {"names"}
    assert not {"pow_fixed_", "trunc_divide_", "add_scaled_"} & set(dir(rushlight))


# --- hooks and calls of entries -------------------------------------------------------------------


def test_hooks_see_every_operand_and_come_in_order() -> None:
    def seen(m: Any) -> list:
        log: list = []
        x = _leaf(m)
        y = x * 2
        y.register_hook(lambda g: g * 3)
        y.grad_fn.register_prehook(lambda grads: (grads[0] * 5,))
        y.grad_fn.register_hook(lambda into, out: log.append([g is None for g in into]))
        y.retain_grad()
        y.sum().backward()
        return [*log, y.grad[0, 0].item(), x.grad[0, 0].item()]

    assert seen(rushlight) == seen(torch)


def test_an_entry_can_be_called_and_tells_what_it_saved() -> None:
    def told(m: Any) -> list:
        x = _leaf(m)
        entry = (x * x).grad_fn
        both = [g[0, 0].item() for g in entry(m.ones(3, 4))]
        sizes = x.sum(0).grad_fn._saved_self_sym_sizes
        saved = [name for name in ("_saved_self", "_saved_other") if name in dir(entry)]
        return [both, tuple(sizes), saved, entry.requires_grad, entry._saved_other is not None]

    assert told(rushlight) == told(torch)


def test_names_in_place() -> None:
    def names(m: Any) -> list:
        x = _leaf(m)
        changed = [
            (x * 1).t_(),
            (x * 1).unsqueeze_(0),
            x[None].clone().squeeze_(0),
            (x * 1).transpose_(0, 1),
            (x * 1).fill_(0),
            (x * 1).zero_(),
        ]
        return [type(y.grad_fn).__name__ for y in changed]

    assert names(rushlight) == names(torch)


def test_complex_numbers_of_infinite_parts() -> None:
    parts = [float("inf"), 1.0, -0.0], [1.0, float("inf"), -0.0]

    def made(m: Any) -> str:
        return repr(m.complex(*map(m.tensor, parts)))

    assert made(rushlight) == made(torch)


@pytest.mark.parametrize("overwrite", ["fill_(2.0)", "zero_()", "copy_(m.ones(3))", "normal_()"])
def test_what_is_overwritten_gets_zeros(overwrite: str) -> None:
    """Also where what arrives from above is no number."""
    for m in (torch, rushlight):
        x = m.ones(3, requires_grad=True)
        y = x * 1
        exec(f"y.{overwrite}", {"y": y, "m": m})
        y.backward(m.tensor([float("nan"), float("inf"), 1.0]))
        assert x.grad.tolist() == [0.0, 0.0, 0.0]
