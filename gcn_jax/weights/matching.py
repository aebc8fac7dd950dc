"""Foreign state dicts, leaf by leaf: numpy arrays by PyTorch's names become Flax variables.

The map is total, or an error: every source tensor is used exactly once, every leaf of the
variables is filled, shapes are equal, and values are finite. An architecture adds one function that
says which tensor fills a leaf. PyTorch itself is not needed: what `torch.load` or a safetensors
file gives is passed as `{name: array}`.
"""

import fnmatch
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import traverse_util

from gcn_jax.errors import UserError
from gcn_jax.models.layers.norm import EPSILON

#: Where a leaf of the variables is, such as ("params", "res3_block1", "conv2", "kernel").
Leaf = tuple[str, ...]

#: Flax leaf -> PyTorch tensor, for every kind of layer here.
LEAVES = {
    "kernel": "weight",
    "scale": "weight",
    "bias": "bias",
    "mean": "running_mean",
    "var": "running_var",
}


def import_variables(
    state_dict: Mapping[str, np.ndarray],
    target: dict[str, Any],
    source: Callable[[Leaf], str],
    excepted: Sequence[str] = (),
) -> dict[str, Any]:
    """Fill a tree of variables from a state dict.

    Args:
        state_dict: Tensor name to array: convolutions `[out, in, kh, kw]`, linear layers
            `[out, in]`. Counters `*.num_batches_tracked` are left out. Batch-norms may be folded
            into the convolutions before them: the function stays the same.
        target: The variables, or their shapes, as `jax.eval_shape(model.init, ...)` gives them.
        source: The name of the tensor that fills the leaf at a path; distinct for distinct paths.
        excepted: Patterns, as of `fnmatch`, of top-level layers of `target` that are left out.

    Returns:
        The tree of `target` with float32 arrays, without the excepted layers.

    Raises:
        UserError: A leaf has no tensor, a tensor has no leaf, shapes differ, or values are NaN or
            infinite. Or a pattern fits no layer.
    """
    arrays = {
        name: _flax_layout(np.asarray(array))
        for name, array in state_dict.items()
        if not name.endswith(".num_batches_tracked")
    }
    leaves = traverse_util.flatten_dict(target)
    names = {path: source(path) for path in leaves}
    assert len(set(names.values())) == len(names), "two leaves with the same source"
    out = excepted_layers({path[1] for path in leaves}, excepted)
    arrays |= _identity_norms(arrays, names, source, out)
    for path in [path for path in leaves if path[1] in out]:
        arrays.pop(names.pop(path), None)
        del leaves[path]

    missing = [name for name in names.values() if name not in arrays]
    unused = sorted(set(arrays) - set(names.values()))
    unequal = [
        f"{names[path]} {arrays[names[path]].shape} for {leaf.shape}"
        for path, leaf in leaves.items()
        if names[path] in arrays and arrays[names[path]].shape != leaf.shape
    ]
    if missing or unused or unequal:
        raise UserError(
            "these weights are not of this model: "
            f"{_listing('missing tensors', missing)}; {_listing('tensors without a use', unused)}; "
            f"{_listing('unequal shapes (in Flax layout)', unequal)}"
        )
    broken = [name for name in names.values() if not np.isfinite(arrays[name]).all()]
    if broken:
        raise UserError(
            f"these weights are damaged: {_listing('tensors with NaN or infinity', broken)}"
        )
    return traverse_util.unflatten_dict(
        {path: jnp.asarray(arrays[name], jnp.float32) for path, name in names.items()}
    )


def with_beginning(name: str, places: Sequence[tuple[str, str | Callable[[re.Match], str]]]) -> str:
    """Return a name with another beginning; as it is where no pattern fits.

    Args:
        name: The name of a tensor.
        places: Patterns of beginnings, of which the first that fits counts, and what each becomes:
            a template of `re.Match.expand`, or a function of the match.
    """
    for pattern, place in places:
        if match := re.match(pattern, name):
            begin = place(match) if callable(place) else match.expand(place)
            return begin + name[match.end() :]
    return name


def as_convolutions(state_dict: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Reshape linear layers, `[out, in]`, to the convolutions 1 x 1 that they are here.

    Args:
        state_dict: Tensor name to array in PyTorch's layout.
    """
    return {
        name: array[:, :, None, None] if np.ndim(array) == 2 else array
        for name, array in state_dict.items()
    }


def excepted_layers(layers: Iterable[str], patterns: Sequence[str]) -> set[str]:
    """Return the layers of a backbone that weights do not fill.

    Args:
        layers: The names of all layers.
        patterns: Patterns, as of `fnmatch`, such as "res5_*".

    Raises:
        UserError: A pattern fits no layer.
    """
    layers = sorted(layers)
    fits = {pattern: fnmatch.filter(layers, pattern) for pattern in patterns}
    idle = [pattern for pattern, fitting in fits.items() if not fitting]
    if idle:
        raise UserError(
            f"backbone_except: no layer fits {', '.join(idle)}; there are {', '.join(layers)}"
        )
    return {layer for fitting in fits.values() for layer in fitting}


def _identity_norms(
    arrays: dict[str, np.ndarray],
    names: Mapping[Leaf, str],
    source: Callable[[Leaf], str],
    out: Collection[str],
) -> dict[str, np.ndarray]:
    """Make the batch-norms of a file that has none because they are folded into convolutions.

    Such a file has a bias for every convolution that a batch-norm follows, `conv2` for `bn2`. The
    norm gets mean 0, variance 1 - epsilon, scale 1 and that bias, so that it adds the bias and
    does nothing else. A convolution that has a bias here, too, keeps it, and the norm's is 0.

    Args:
        arrays: The tensors by name, in Flax layout; biases that become a norm's are taken out.
        names: The tensor of each leaf.
        source: Returns the name of the tensor for any leaf.
        out: Top-level layers that are not filled.

    Returns:
        The tensors of the norms by name; none where the file has norms, or lacks a bias.
    """
    norms = {path[1:-1] for path in names if path[0] == "batch_stats"}
    leaves = [path for path in names if path[1:-1] in norms]
    biases = {
        norm: source(("params", *norm[:-1], norm[-1].replace("bn", "conv"), "bias"))
        for norm in norms
    }
    filled = {norm for norm in norms if norm[0] not in out}
    if any(names[path] in arrays for path in leaves if path[1:-1] in filled) or any(
        biases[norm] not in arrays for norm in filled
    ):
        return {}
    kept = {*names.values()}
    made: dict[str, np.ndarray] = {}
    for norm, name in biases.items():
        bias = arrays.get(name) if name in kept else arrays.pop(name, None)
        if bias is not None:
            zeros = np.zeros_like(bias, np.float32)
            values = {"mean": zeros, "var": zeros + (1 - EPSILON), "scale": zeros + 1}
            values["bias"] = zeros if name in kept else bias
            made |= {names[path]: values[path[-1]] for path in leaves if path[1:-1] == norm}
    return made


def _flax_layout(array: np.ndarray) -> np.ndarray:
    """Transpose `[out, in, kh, kw]` to `[kh, kw, in, out]` and `[out, in]` to `[in, out]`."""
    if array.ndim == 4:
        return array.transpose(2, 3, 1, 0)
    return array.T


def _listing(what: str, names: list[str], limit: int = 8) -> str:
    shown = ", ".join(names[:limit]) or "none"
    rest = f" and {len(names) - limit} more" if len(names) > limit else ""
    return f"{len(names)} {what}: {shown}{rest}"
