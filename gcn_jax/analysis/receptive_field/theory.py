"""The theoretical receptive field of any network at any layer, from its traced program.

What a pixel of a layer can depend on is read off the jaxpr (`dependence.py`), so that nothing has
to be known about the network. Two questions are answered:

* `traced_reach`: for an image of a given size, which rows and columns every pixel of every layer
  depends on, borders included;
* `receptive_fields`: away from the borders, the size of that area, its stride and its offset.

As everywhere in the literature the area is the smallest box that holds it: the pixels between the
taps of a dilated convolution count.
"""

import dataclasses
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from gcn_jax.analysis.receptive_field.dependence import image_reach, propagate
from gcn_jax.errors import UserError
from gcn_jax.models.layers import plain_formulation
from gcn_jax.models.network import variable_shapes

#: The name of a network's own output among its layers.
OUTPUT = "output"

#: Height and width of the two images that networks are traced with. Nothing is computed; and the
#: field of GCN-ResNet-152 with k = 25, 2539 pixels, ends before the borders of both.
_SIZES = (4096, 8192)
#: Longest period, in pixels of a layer, after which its fields repeat: those of a x64 upsampling.
_LONGEST_PERIOD = 64


class Reach(NamedTuple):
    """The rows (or columns) of an image that those of a layer depend on.

    Attributes:
        first: int32 `[n]`, for each row of the layer the first row of the image it depends on.
        last: int32 `[n]`, the last one; less than `first` where it depends on none.
        padded: bool `[n]`, whether the padding of some layer is among what it depends on.
    """

    first: np.ndarray
    last: np.ndarray
    padded: np.ndarray


@dataclasses.dataclass(frozen=True)
class AxisField:
    """The receptive field of a layer along one axis, away from the borders of the image.

    Attributes:
        size: Pixels of the image from the first to the last that a pixel of the layer depends on,
            both counted. Where upsampling makes it differ between neighbours, the largest.
        stride: Pixels of the image from the field of one pixel of the layer to that of the next.
        offset: The centre of the field of pixel 0, as the pixels there would have it without a
            border; 0 is the centre of the first pixel of the image. Where the centres of neighbours
            are not equally far apart, the mean.
    """

    size: int
    stride: Fraction
    offset: float

    def centre(self, position: float) -> float:
        """Return where in the image the field of a pixel of the layer has its centre."""
        return self.offset + float(self.stride) * position


class ReceptiveField(NamedTuple):
    """The theoretical receptive field of a layer.

    Attributes:
        vertical: Along the height; None where it depends on the size of the image, as behind
            global pooling and in the bins of a pyramid.
        horizontal: Along the width.
    """

    vertical: AxisField | None
    horizontal: AxisField | None


def receptive_fields(model: nn.Module) -> dict[str, ReceptiveField]:
    """Compute the theoretical receptive field of every layer of a network.

    Example:
        >>> receptive_fields(ResNet(depth=50))["res5"].vertical
        AxisField(size=427, stride=Fraction(32, 1), offset=0.0)

    Args:
        model: A network of `gcn_jax.models`, or any Linen module that maps images `[N, H, W, 3]` to
            an array or a dict of arrays.

    Returns:
        The field of every module's output by its path, such as "backbone/res4_block1/conv2", in the
            order of the program. An output in a dict adds its name ("backbone/res5"), a later call
            of the same module its number ("conv[1]"); the network's own output is "output".

    Raises:
        UserError: See `dependence.propagate`; or the fields of a layer do not repeat.
    """
    variables = variable_shapes(model)
    small, large = (_reaches(model, variables, (size, size)) for size in _SIZES)
    return {
        name: ReceptiveField(*map(partial(_axis_field, name), small[name], large[name]))
        for name in large
    }


def traced_reach(model: nn.Module, size: tuple[int, int]) -> dict[str, tuple[Reach, Reach]]:
    """Compute what every layer of a network depends on in an image of a given size.

    Args:
        model: See `receptive_fields`.
        size: Height and width of the image in px.

    Returns:
        The reach of the rows and of the columns of every layer by its name; a layer whose output is
            not `[N, h, w, C]` counts as one row and one column.

    Raises:
        UserError: See `dependence.propagate`.
    """
    return _reaches(model, variable_shapes(model), size)


def _reaches(
    model: nn.Module, variables: Any, size: tuple[int, int]
) -> dict[str, tuple[Reach, Reach]]:
    channels = getattr(model, "in_channels", 3)
    images = jax.ShapeDtypeStruct((1, *size, channels), jnp.float32)
    finished: list[str] = []
    run = _with_all_layers(model, finished)
    with plain_formulation():  # which says what padding is seen
        program, shapes = jax.make_jaxpr(run, return_shape=True)(variables, images)
    parameters = [None] * len(jax.tree.leaves(variables))
    rows, columns = (
        propagate(program, [*parameters, image_reach(images.shape, axis)]) for axis in (1, 2)
    )
    found = {}
    outputs = jax.tree_util.tree_leaves_with_path(shapes)
    for (path, output), row, column in zip(outputs, rows, columns, strict=True):
        keys = [getattr(key, "key", getattr(key, "idx", None)) for key in path]
        if "__call__" in keys and isinstance(row, np.ndarray) and isinstance(column, np.ndarray):
            pair = _join_rows(row, output.shape, 1), _join_rows(column, output.shape, 2)
            found[_layer_name(keys)] = pair
    return {name: found[name] for name in sorted(found, key=lambda n: _place(n, finished))}


def _with_all_layers(model: nn.Module, finished: list[str]) -> Callable[..., Any]:
    """Return a function (variables, images) that returns the outputs of all modules.

    While it is traced it notes the paths of the modules as they finish: a pytree forgets the order.
    """

    def note(call, args, kwargs, context):
        outputs = call(*args, **kwargs)
        if context.method_name == "__call__":
            finished.append("/".join(context.module.path))
        return outputs

    def run(variables, images):
        with nn.intercept_methods(note):
            _, state = model.apply(
                variables, images, capture_intermediates=True, mutable=["intermediates"]
            )
        return state["intermediates"]

    return run


def _layer_name(keys: Sequence[Any]) -> str:
    """Name what Linen keeps under (*path of the module, "__call__", number of the call, *entry)."""
    end = keys.index("__call__")
    path, call, entry = keys[:end], keys[end + 1], keys[end + 2 :]
    name = "/".join(map(str, [*path, *entry])) or OUTPUT
    return f"{name}[{call}]" if call else name


def _place(name: str, finished: Sequence[str]) -> int:
    """Return when a layer is finished, by its name; one of a dict when its module is."""
    path = name.partition("[")[0]
    for candidate in (path, path.rpartition("/")[0]):
        if candidate in finished:
            return finished.index(candidate)
    return len(finished)


def _join_rows(reach: np.ndarray, shape: Sequence[int], along: int) -> Reach:
    """Join the reaches of all elements of each row."""
    count = shape[along] if len(shape) == 4 else 1
    axes = tuple(a for a in range(1, reach.ndim) if len(shape) != 4 or a != along + 1)
    first, last, padding = np.broadcast_to(reach.min(axis=axes).reshape(3, -1), (3, count))
    return Reach(first, -last, padding == 0)


def _axis_field(name: str, *reaches: Reach) -> AxisField | None:
    """Compare what a layer sees in the images of `_SIZES`; None if that depends on the size."""
    small, large = map(_repeating_field, reaches, _SIZES)
    middles = [(reach, len(reach.first) // 2) for reach in reaches]
    extents = {int(reach.last[middle] - reach.first[middle]) for reach, middle in middles}
    if small is None and large is None and len(extents) == 1:
        raise UserError(
            f"{name}: its receptive field neither repeats from pixel to pixel nor depends on the "
            "size of the image; traced_reach says what its pixels see in an image of a given size"
        )
    return small if small == large else None


def _repeating_field(reach: Reach, size: int) -> AxisField | None:
    """Read size, stride and offset off the rows around the middle; None if nothing repeats."""
    middle = len(reach.first) // 2
    at_border = (reach.first == 0) | (reach.last == size - 1) | reach.padded
    outside = np.flatnonzero(at_border)
    start = max(outside[outside <= middle], default=-1) + 1
    stop = min(outside[outside > middle], default=len(reach.first))
    first, last = reach.first[start:stop], reach.last[start:stop]
    for period in range(1, min(_LONGEST_PERIOD, len(first) // 2) + 1):
        step = first[period] - first[0]
        if all((r[period:] - r[:-period] == step).all() for r in (first, last)):
            stride = Fraction(int(step), period)
            centre = Fraction(int((first + last)[:period].sum()), 2 * period)
            offset = centre - stride * (start + Fraction(period - 1, 2))
            return AxisField(int((last - first).max()) + 1, stride, float(offset))
    return None
