"""Mean-field inference on the device: Gaussian filters on a lattice, and the loop around them."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from gcn_jax.inference.crf.lattice import Tables

#: Classes are padded to a multiple of this, so that rows of floats fill vector registers.
_CLASS_MULTIPLE = 8
#: Unary energy of a class that is only padding.
_IMPOSSIBLE = 1e9
#: Probabilities are clipped here from below, as pydensecrf does, before the logarithm is taken.
_MIN_PROBABILITY = 1e-5

#: An array on a device or on the host.
Array = jax.Array | np.ndarray


@jax.jit
def mean_field(
    probabilities: jax.Array,
    lattices: Sequence[Tables],
    weights: jax.Array,
    iterations: jax.Array,
) -> jax.Array:
    """Approximate the marginals of a dense CRF with Potts compatibility.

    All classes at once: Q <- softmax(-U + sum_k w_k n_k K_k n_k Q), where U = -log p, K_k is the
    k-th Gaussian filter, a point's own term included, and n_k = 1 / sqrt(K_k 1).

    Args:
        probabilities: float32 `[P, C]`.
        lattices: One for each kernel, of the same points.
        weights: float32 [kernels].
        iterations: int32 []; a run-time value, so that another number compiles nothing.

    Returns:
        float32 `[P, C]`, rows sum to one.
    """
    num_classes = probabilities.shape[1]
    unary = -jnp.log(jnp.clip(probabilities, _MIN_PROBABILITY, 1))
    padding = -num_classes % _CLASS_MULTIPLE
    unary = jnp.pad(unary, ((0, 0), (0, padding)), constant_values=_IMPOSSIBLE)
    filters = [
        _normalized_filter(lattice, weight, iterations > 0)
        for lattice, weight in zip(lattices, weights, strict=True)
    ]

    def iterate(_, messages):
        marginals = jax.nn.softmax(messages - unary)
        return sum(message(marginals) for message in filters)

    messages = jax.lax.fori_loop(0, iterations, iterate, jnp.zeros_like(unary))
    return jax.nn.softmax(messages - unary)[:, :num_classes]


def _normalized_filter(
    lattice: Tables, weight: jax.Array, run: jax.Array
) -> Callable[[jax.Array], jax.Array]:
    """Return the function [P, C] -> [P, C] that applies w n K n; `run` as in `_in_memory`."""
    num_points = lattice.corners.shape[1]
    points = lattice.chunks % num_points
    splat_weights = _rows(lattice.weights.ravel(), lattice.chunks)
    # The blur spreads what is at a vertex: it sums to 1 + 2^-d of it.
    slice_weights = lattice.weights / (1 + 2.0 ** (1 - len(lattice.corners)))
    hops = _hops(lattice.neighbors)

    def apply(values, splat_weights, slice_weights):
        chunks = _in_memory(run, _weighted_rows, values, points, splat_weights)
        vertices = _in_memory(run, _sum_chunks, chunks, lattice.owners, hops[0][0])
        for hop in hops:
            vertices = _in_memory(run, _blur, vertices, hop)
        return _weighted_rows(vertices, lattice.corners, slice_weights)

    ones = jnp.ones((num_points, 1))
    scale = jax.lax.rsqrt(apply(ones, splat_weights, slice_weights)[:, 0] + 1e-20)
    splat_weights *= _rows(scale, points)
    slice_weights *= (weight * scale)[None]
    return lambda values: apply(values, splat_weights, slice_weights)


def _hops(neighbors: Array) -> list[jax.Array]:
    """Join the steps of two axes: int32 `[8, M]` a pair, `[2, M]` an axis without partner.

    The blur along one axis and then another reads each vertex's two neighbours along the first, the
    two along the second, and the first's of the second's. Memory is the limit, so one pass over
    nine rows beats two passes over three.
    """
    hops = [
        jnp.concatenate([first, second, first[0][second], first[1][second]])
        for first, second in zip(neighbors[0::2], neighbors[1::2], strict=False)
    ]
    return hops + ([neighbors[-1]] if len(neighbors) % 2 else [])


def _blur(values: jax.Array, hop: jax.Array) -> jax.Array:
    near = sum(_rows(values, index) for index in hop[:4])
    far = sum(_rows(values, index) for index in hop[4:])
    return values + 0.5 * near + 0.25 * far


def _sum_chunks(chunks: jax.Array, owners: jax.Array, vertices: jax.Array) -> jax.Array:
    return jax.ops.segment_sum(
        chunks, owners, len(vertices), indices_are_sorted=True, mode="promise_in_bounds"
    )


def _weighted_rows(values: Array, rows: Array, weights: Array) -> jax.Array:
    """Sum rows of values [N, C] with weights, both [K, M]: [M, C]."""
    # K gathers that are summed at once; one gather of [K, M, C] would not fit into any cache.
    return sum(
        _rows(values, index) * weight[:, None] for index, weight in zip(rows, weights, strict=True)
    )


def _rows(values: Array, index: Array) -> jax.Array:
    return jnp.asarray(values).at[index].get(mode="promise_in_bounds", wrap_negative_indices=False)


def _in_memory(run: jax.Array, function: Callable[..., jax.Array], *args: Array) -> jax.Array:
    """Return function(*args), computed once.

    XLA's CPU compiler would compute it anew for each element that a later gather reads, and an
    optimization barrier does not keep it from that; a branch that is chosen at run time does.

    Args:
        run: bool [], true, but unknown to the compiler.
        function: The stage.
        *args: Its arguments.
    """
    result = jax.eval_shape(function, *args)
    return jax.lax.cond(run, function, lambda *_: jnp.zeros(result.shape, result.dtype), *args)
