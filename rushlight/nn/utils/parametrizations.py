"""Ready-made parametrizations: orthogonal, weight-normalised and spectrally normalised tensors.

In: a module and the name of one of its tensors. Out: the same module with that tensor computed from
others (`parametrize`). Invariant: what is computed satisfies the constraint at every reading,
whatever an optimizer has done to the tensors behind it.
"""

from __future__ import annotations

from typing import Any

import rushlight
from rushlight import Tensor
from rushlight.nn import functional as F
from rushlight.nn.functional.native import norm_except_dim
from rushlight.nn.module import Module
from rushlight.nn.utils import parametrize
from rushlight.nn.utils.spectral_norm import as_matrix, output_dim
from rushlight.nn.utils.weight_norm import normalized

__all__ = ["orthogonal", "spectral_norm", "weight_norm"]

_MAPS = ("matrix_exp", "cayley", "householder")


def _is_orthogonal(matrix: Tensor) -> bool:
    rows, columns = matrix.shape[-2:]
    identity = rushlight.eye(columns, dtype=matrix.dtype, device=matrix.device)
    tolerance = 10.0 * rows * rushlight.finfo(matrix.dtype).eps
    return rushlight.allclose(matrix.mH @ matrix, identity, atol=tolerance)


def _make_orthogonal(matrix: Tensor) -> Tensor:
    """The Q of the QR decomposition whose R has a positive diagonal."""
    q, r = rushlight.linalg.qr(matrix)
    return q * r.diagonal(dim1=-2, dim2=-1).sgn().unsqueeze(-2)


class _Orthogonal(Module):
    """A free matrix -> one with orthonormal columns (or rows, where it is wider than high).

    matrix_exp: the exponential of a skew-symmetric matrix A; cayley: (I + A/2) (I - A/2)^-1;
    householder: a product of reflections. With a trivialization the result is multiplied to a base,
    so that any orthogonal matrix can be assigned (Lezcano-Casado, arXiv 1909.09501).
    """

    base: Tensor | None

    def __init__(
        self, weight: Tensor, orthogonal_map: str, *, use_trivialization: bool = True
    ) -> None:
        super().__init__()
        if weight.is_complex() and orthogonal_map == "householder":
            raise ValueError("The householder parametrization does not support complex tensors.")
        self.shape = weight.shape
        self.orthogonal_map = orthogonal_map
        if use_trivialization:
            self.register_buffer("base", None)

    def forward(self, X: Tensor) -> Tensor:
        wide = X.size(-2) < X.size(-1)
        X = X.mT if wide else X
        if self.orthogonal_map == "householder":
            q = self._reflections(X)
        else:
            q = self._rotation(X)
        if hasattr(self, "base"):
            q = self.base @ q
        return q.mT if wide else q

    def _reflections(self, X: Tensor) -> Tensor:
        vectors = X.tril(diagonal=-1)
        tau = 2.0 / (1.0 + (vectors * vectors).sum(dim=-2))
        signs = X.diagonal(dim1=-2, dim2=-1).int().unsqueeze(-2)
        return rushlight.linalg.householder_product(vectors, tau) * signs

    def _rotation(self, X: Tensor) -> Tensor:
        rows, columns = X.shape[-2:]
        lower = X.tril()
        if rows != columns:
            more = X.new_zeros(*X.shape[:-1], rows - columns)
            lower = rushlight.cat([lower, more], dim=-1)
        skew = lower - lower.mH
        if self.orthogonal_map == "matrix_exp":
            q = rushlight.linalg.matrix_exp(skew)
        else:
            identity = rushlight.eye(rows, dtype=skew.dtype, device=skew.device)
            q = rushlight.linalg.solve(identity - 0.5 * skew, identity + 0.5 * skew)
        return q[..., :columns]

    def right_inverse(self, Q: Tensor) -> Tensor:
        if Q.shape != self.shape:
            raise ValueError(
                f"Expected a matrix or batch of matrices of shape {self.shape}. Got a tensor of "
                f"shape {Q.shape}."
            )
        with rushlight.no_grad():
            wide = Q.size(-2) < Q.size(-1)
            upright = Q.mT if wide else Q
            if not hasattr(self, "base"):
                found = self._free(upright)
                return found.mT if wide else found
            self.base = self._completed(upright)
            found = rushlight.zeros_like(Q)
            found.diagonal(dim1=-2, dim2=-1).fill_(-1.0)
            return found

    def _free(self, Q: Tensor) -> Tensor:
        """The matrix that the reflections turn into Q; no such formula for the other maps."""
        if self.orthogonal_map != "householder":
            raise NotImplementedError(
                "It is not possible to assign to the matrix exponential or the Cayley "
                "parametrizations when use_trivialization=False."
            )
        vectors, tau = rushlight.geqrf(Q)
        diagonal = vectors.diagonal(dim1=-2, dim2=-1)
        diagonal.sign_()
        # no reflection: the sign of the diagonal is then of the other kind
        diagonal.copy_(rushlight.where(tau == 0.0, -diagonal, diagonal))
        return vectors

    def _completed(self, Q: Tensor) -> Tensor:
        """An orthogonal square matrix whose first columns are (or span) those of Q."""
        rows, columns = Q.shape[-2:]
        if rows == columns:
            return Q.clone() if _is_orthogonal(Q) else _make_orthogonal(Q)
        shape = (*Q.shape[:-1], rows - columns)
        more = rushlight.randn(shape, dtype=Q.dtype, device=Q.device)
        return _make_orthogonal(rushlight.cat([Q, more], dim=-1))


def _tensor_of(module: Module, name: str) -> Tensor:
    weight = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise ValueError(f"Module '{module}' has no parameter or buffer with name '{name}'")
    return weight


def orthogonal(
    module: Module,
    name: str = "weight",
    orthogonal_map: str | None = None,
    *,
    use_trivialization: bool = True,
) -> Module:
    """Keep a matrix, or a batch of them, orthogonal (unitary where it is complex).

    orthogonal_map: "matrix_exp" (the default for square and complex ones), "cayley", or
    "householder" (the default else). use_trivialization: multiply to a base, so that the tensor can
    be assigned. Returns the module. Errors: ValueError for fewer than two dimensions and an unknown
    map. Follows `torch.nn.utils.parametrizations.orthogonal`.

    >>> import rushlight as rl
    >>> layer = rl.nn.utils.parametrizations.orthogonal(rl.nn.Linear(3, 3))
    >>> rl.allclose(layer.weight @ layer.weight.T, rl.eye(3), atol=1e-5)
    True
    """
    weight = _tensor_of(module, name)
    if weight.ndim < 2:
        raise ValueError(
            f"Expected a matrix or batch of matrices. Got a tensor of {weight.ndim} dimensions."
        )
    if orthogonal_map is None:
        square = weight.size(-2) == weight.size(-1)
        orthogonal_map = "matrix_exp" if square or weight.is_complex() else "householder"
    if orthogonal_map not in _MAPS:
        raise ValueError(
            f'orthogonal_map has to be one of "matrix_exp", "cayley", "householder". Got: '
            f"{orthogonal_map}"
        )
    made = _Orthogonal(weight, orthogonal_map, use_trivialization=use_trivialization)
    return parametrize.register_parametrization(module, name, made, unsafe=True)


class _WeightNorm(Module):
    """(magnitude, direction) -> magnitude * direction / |direction|."""

    def __init__(self, dim: int | None = 0) -> None:
        super().__init__()
        self.dim = -1 if dim is None else dim

    def forward(self, weight_g: Tensor, weight_v: Tensor) -> Tensor:
        return normalized(weight_v, weight_g, self.dim)

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        return norm_except_dim(weight, 2, self.dim), weight


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """Normalise a weight as w = g v / |v|; `original0` is g, `original1` is v.

    dim: the norm is taken over all dimensions but this one, over all of them for None. Returns the
    module. A state_dict of the older `torch.nn.utils.weight_norm` can be loaded. Follows
    `torch.nn.utils.parametrizations.weight_norm` (Salimans and Kingma, arXiv 1602.07868).

    >>> import rushlight as rl
    >>> layer = rl.nn.utils.parametrizations.weight_norm(rl.nn.Linear(20, 40))
    >>> layer.parametrizations.weight.original0.shape
    torch.Size([40, 1])
    """
    parametrize.register_parametrization(module, name, _WeightNorm(dim), unsafe=True)

    def rename(state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        older = [f"{prefix}{name}_{suffix}" for suffix in "gv"]
        if all(key in state_dict for key in older):
            for place, key in enumerate(older):
                newer = f"{prefix}parametrizations.{name}.original{place}"
                state_dict[newer] = state_dict.pop(key)

    module._register_load_state_dict_pre_hook(rename)
    return module


class _SpectralNorm(Module):
    """A tensor -> the same divided by an estimate of its largest singular value."""

    _u: Tensor
    _v: Tensor

    def __init__(
        self, weight: Tensor, n_power_iterations: int = 1, dim: int = 0, eps: float = 1e-12
    ) -> None:
        super().__init__()
        count = weight.ndim
        if dim >= count or dim < -count:
            raise IndexError(
                f"Dimension out of range (expected to be in range of [-{count}, {count - 1}] but "
                f"got {dim})"
            )
        if n_power_iterations <= 0:
            raise ValueError(
                "Expected n_power_iterations to be positive, but got "
                f"n_power_iterations={n_power_iterations}"
            )
        self.dim = dim % count
        self.eps = eps
        if count > 1:  # the norm of a vector needs no estimate
            self.n_power_iterations = n_power_iterations
            matrix = as_matrix(weight, self.dim)
            rows, columns = matrix.size()
            for name, size in (("_u", rows), ("_v", columns)):
                drawn = matrix.new_empty(size).normal_(0, 1)
                self.register_buffer(name, F.normalize(drawn, dim=0, eps=eps))
            self._power_method(matrix, 15)

    def _power_method(self, matrix: Tensor, n_power_iterations: int) -> None:
        """Move the estimates of the singular vectors: u = W v, v = W^H u, both of length one."""
        if matrix.ndim != 2:
            raise AssertionError(f"Expected a matrix, got {matrix.ndim} dimensions")
        with rushlight.no_grad():
            for _ in range(n_power_iterations):
                along = rushlight.mv(matrix, self._v)
                self._u.copy_(F.normalize(along, dim=0, eps=self.eps))
                along = rushlight.mv(matrix.mH, self._u)
                self._v.copy_(F.normalize(along, dim=0, eps=self.eps))

    def forward(self, weight: Tensor) -> Tensor:
        if weight.ndim == 1:
            return F.normalize(weight, dim=0, eps=self.eps)
        matrix = as_matrix(weight, self.dim)
        if self.training:
            self._power_method(matrix, self.n_power_iterations)
        # copies: backward must not see the next reading's iterations
        u, v = self._u.clone(), self._v.clone()
        return weight / rushlight.vdot(u, rushlight.mv(matrix, v))

    def right_inverse(self, value: Tensor) -> Tensor:
        return value  # what is read has norm one, whatever is assigned


def spectral_norm(
    module: Module,
    name: str = "weight",
    n_power_iterations: int = 1,
    eps: float = 1e-12,
    dim: int | None = None,
) -> Module:
    """Divide a weight by its largest singular value, estimated by power iteration.

    dim: the dimension that counts outputs (default: 1 for transposed convolutions, else 0). In
    training mode every reading moves the estimate. Returns the module. Errors: ValueError for a
    name that is no tensor or fewer than one iteration, IndexError for a dimension there is not.
    Follows `torch.nn.utils.parametrizations.spectral_norm` (Miyato et al., arXiv 1802.05957).

    >>> import rushlight as rl
    >>> layer = rl.nn.utils.parametrizations.spectral_norm(rl.nn.Linear(20, 40))
    >>> bool(rl.linalg.matrix_norm(layer.weight, 2) < 1.5)
    True
    """
    weight = _tensor_of(module, name)
    made = _SpectralNorm(weight, n_power_iterations, output_dim(module, dim), eps)
    return parametrize.register_parametrization(module, name, made)
