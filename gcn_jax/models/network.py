"""The contract of a network: what training, inference and the studies may ask of it."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.sharding import PartitionSpec

from gcn_jax import mesh
from gcn_jax.errors import UserError

#: The collection of `sow_auxiliary`: name -> (weight, logits).
AUXILIARY = "auxiliary"

#: Collections of variables that are no maps: every device has them whole.
_REPLICATED = ("params", "batch_stats", "preprocessing")


class SegmentationNetwork(nn.Module):
    """A network that scores the classes at every pixel: the base of all networks here.

    A network has fields, `make_backbone` and `__call__`. For images float32 `[2, 65, 97, 3]` and 21
    classes its logits are float32 `[2, 65, 97, 21]`; with a `label_stride` of 8 those of training
    are `[2, 9, 13, 21]`, for the labels `[:, ::8, ::8]`.

    `apply` and `init` take images that are split over a mesh along N, H or W. Meshes with Auto and
    with Explicit axes (`jax.make_mesh` makes these) both work; logits are split as the images are.

    Attributes:
        num_classes: C, number of classes, without void.
        frozen_batch_norm: Whether batch-norm uses the running statistics, even in training.
        dtype: The precision of the computation; parameters, statistics and logits are float32.
        remat: Whether what the blocks of the backbone compute inside is computed again for the
            gradient, instead of kept: less memory for one more forward pass of the backbone. (Not
            on a CPU, where XLA undoes it.)
        label_stride: The step s between the pixels that the logits of training are for; labels are
            then `[:, ::s, ::s]`.
        auxiliary_strides: The same for logits of `sow_auxiliary` that have another step, by their
            name; they may be fractions. Empty where all have `label_stride`.
    """

    num_classes: int
    frozen_batch_norm: bool = dataclasses.field(default=False, kw_only=True)
    dtype: Any = dataclasses.field(default=jnp.float32, kw_only=True)
    remat: bool = dataclasses.field(default=False, kw_only=True)

    label_stride: ClassVar[int] = 1
    auxiliary_strides: ClassVar[Mapping[str, float]] = {}

    @nn.nowrap
    def make_backbone(self) -> nn.Module:
        """Return the backbone, whose parameters are `params["backbone"]`."""
        raise NotImplementedError(f"{type(self).__name__} has no make_backbone")

    def __call__(self, images: jax.Array, *, train: bool = False) -> jax.Array:
        """Score the classes at every pixel.

        Args:
            images: float32 `[N, H, W, 3]`, normalised; any H and W.
            train: Whether batch-norm uses the statistics of the batch, and updates the running
                ones: `apply(..., train=True, mutable=["batch_stats"])`.

        Returns:
            Logits, float32 `[N, H, W, num_classes]`; in training those of every `label_stride`-th
            pixel, float32 `[N, ceil(H / s), ceil(W / s), num_classes]`.

        Raises:
            UserError: The images are not a batch of floats, or training has nowhere to put the
                statistics.
        """
        raise NotImplementedError(f"{type(self).__name__} has no __call__")

    @nn.nowrap
    def check_call(self, images: jax.Array, train: bool) -> None:
        """Raise `UserError` where a call cannot be meant as it is; every `__call__` begins with it.

        Args:
            images: The images of the call.
            train: Its `train`.
        """
        check_images(images)
        moves = train and not self.frozen_batch_norm and bool(self.variables.get("batch_stats"))
        if moves and not self.is_mutable_collection("batch_stats"):
            raise UserError(
                "train=True moves the statistics of batch-norm: call `model.apply(variables, "
                'images, train=True, mutable=["batch_stats"])`, which returns (logits, updates)'
            )

    @nn.nowrap
    def apply(  # type: ignore[override]  # images have a name here
        self, variables: Any, images: Any, *args: Any, **kwargs: Any
    ) -> Any:
        """Run the network as Linen's `apply` does, on images of any mesh.

        Args:
            variables: The variables, from `init` or `from_pretrained`.
            images: float32 `[N, H, W, 3]`, normalised.
            *args: Other arguments of the method, which is `__call__` unless `method` says so.
            **kwargs: Those of Linen's `apply`: `train`, `rngs`, `mutable` and so on.

        Returns:
            Logits, float32 `[N, H, W, num_classes]`; with `mutable` a pair of these and of the
            collections that changed.
        """
        run = super().apply
        return mesh.with_auto_axes(
            lambda variables, images: run(variables, images, *args, **kwargs),
            _image_spec,
            images,
            variables,
        )

    @nn.nowrap
    def init(  # type: ignore[override]  # images have a name here
        self, rngs: Any, images: Any, *args: Any, **kwargs: Any
    ) -> Any:
        """Make variables as Linen's `init` does; of images of any mesh the shape alone counts.

        Args:
            rngs: The key, or keys by name.
            images: float32 `[N, H, W, 3]`.
            *args: Other arguments of `__call__`.
            **kwargs: Those of Linen's `init`.

        Returns:
            The variables: `params` and, with batch-norm, `batch_stats`, float32.
        """
        return super().init(rngs, mesh.without_mesh(images), *args, **kwargs)


def _image_spec(path: tuple[Any, ...], leaf: Any, images: PartitionSpec) -> PartitionSpec:
    """Return how an output of a network is split: maps as the images are, variables not at all."""
    if leaf.ndim != 4 or any(getattr(key, "key", None) in _REPLICATED for key in path):
        return PartitionSpec()
    return PartitionSpec(*images[:3])


def check_images(images: jax.Array) -> None:
    """Raise `UserError` unless images are a batch of floats, channels last.

    Args:
        images: What a network was called with.
    """
    shape = list(images.shape)
    wanted = "images must be normalised floats [N, H, W, 3]"
    if images.ndim == 4 and shape[1] == 3 and shape[3] != 3:
        raise UserError(
            f"{wanted}, and are {shape}: channels first, as in PyTorch; give "
            "images.transpose(0, 2, 3, 1)"
        )
    if images.ndim != 4 or not jnp.issubdtype(images.dtype, jnp.floating):
        raise UserError(
            f"{wanted}, and are {images.dtype}{shape}; `gcn_jax.models.predict` takes one uint8 "
            "image as it is"
        )


def sow_auxiliary(module: nn.Module, name: str, logits: jax.Array, weight: float) -> None:
    """Hand logits to the training step besides those that a network returns.

    The step adds `weight` times their objective to the loss. They are of use in training only, and
    so are the layers that make them: a network has these `if train or self.is_initializing()`.

    Args:
        module: The network.
        name: The name of the logits.
        logits: float32, for the labels of the network's own logits in training, or for those of
            every s-th pixel where the network has `auxiliary_strides`, name -> s, of all names.
        weight: The weight of their objective in the sum.
    """
    module.sow(AUXILIARY, name, (weight, logits), reduce_fn=lambda _, new: new)


def variable_shapes(model: nn.Module) -> Any:
    """Return the shapes and dtypes of a model's variables, without making them.

    Args:
        model: Any Linen module that maps images.
    """
    images = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
    return jax.eval_shape(model.init, jax.random.key(0), images)
