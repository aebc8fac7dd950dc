"""The contract of a network: what training, inference and analysis may ask of it."""

import abc
import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.sharding import PartitionSpec
from jax.typing import DTypeLike

from gcn_jax import mesh
from gcn_jax.errors import UserError

#: The collection of `SegmentationNetwork.sow_auxiliary`: name -> (weight, logits).
AUXILIARY = "auxiliary"

#: Collections of variables that are no maps: every device has them whole.
_REPLICATED = ("params", "batch_stats", "preprocessing")


class SegmentationNetwork(nn.Module, abc.ABC):
    """A network that scores the classes at every pixel; all networks derive from it.

    A network adds its own fields and defines `make_backbone` and `_compute_logits`. Nothing else of
    it is known to the rest of the package.

    Two images of 65 x 97 pixels and 21 classes, by a GCN on ResNet-50::

        images                       float32 `[2, 65, 97, 3]`, normalised
        make_backbone()(images)      res2 `[2, 17, 25, 256]`, res3 `[2, 9, 13, 512]`,
                                     res4 `[2, 5, 7, 1024]`, res5 `[2, 3, 4, 2048]`
        apply(variables, images)     logits, float32 `[2, 65, 97, 21]`

    and in training by DeepLab-v2, whose `label_stride` is 8::

        logits                       `[2, 9, 13, 21]`, for the labels `[:, ::8, ::8]`
        auxiliary logits "scale_0.5" `[2, 5, 7, 21]`, for those of every 16th pixel

    `apply` and `init` take images that are split over a mesh along N, H or W. Meshes with Auto and
    with Explicit axes (`jax.make_mesh` makes these) both work; logits are split as the images are.

    Example:
        >>> model = create_model("gcn_resnet50", num_classes=21)
        >>> variables = jax.jit(model.init)(jax.random.key(0), images)
        >>> logits = model.apply(variables, images)
        >>> logits, updates = model.apply(  # in training; "dropout" where the network has some
        ...     variables, images, train=True, mutable=["batch_stats"], rngs={"dropout": key}
        ... )

    Attributes:
        num_classes: C, number of classes, without void.
        frozen_batch_norm: Whether batch-norm uses the running statistics even in training.
        dtype: The type that is computed with; parameters, statistics and logits are float32.
        in_channels: How many channels images have; where it says `[N, H, W, 3]` they have so many.
        remat: Whether what the blocks of the backbone compute inside is computed again for the
            gradient, instead of kept: less memory for one more forward pass of the backbone. (Not
            on a CPU, where XLA undoes it.)
    """

    num_classes: int
    _: dataclasses.KW_ONLY
    frozen_batch_norm: bool = False
    dtype: DTypeLike = jnp.float32
    remat: bool = False
    in_channels: int = 3

    #: In training, logits and labels are of every s-th row and column.
    label_stride: ClassVar[int] = 1

    #: Name of auxiliary logits -> their stride, which may be a fraction. If it is empty, all have
    #: `label_stride`; else it has all names.
    auxiliary_strides: ClassVar[Mapping[str, float]] = {}

    @abc.abstractmethod
    def make_backbone(self) -> nn.Module:
        """Return the backbone, whose variables are under the name "backbone"."""

    @property
    @abc.abstractmethod
    def backbone_weights(self) -> str:
        """The architecture whose published weights fit the backbone, by timm's name if it has one.

        `gcn_jax.weights.list_sources` has those that can be loaded.
        """

    @abc.abstractmethod
    def _compute_logits(self, images: jax.Array, *, train: bool) -> jax.Array:
        """Score the classes, with images that have been checked; layers can be made here.

        Args:
            images: float32 `[N, H, W, 3]`, normalised; any H and W.
            train: As for `__call__`.

        Returns:
            The logits that `__call__` returns.
        """

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool = False) -> jax.Array:
        """Score the classes at every pixel.

        Args:
            images: float32 `[N, H, W, 3]`, normalised; any H and W.
            train: Whether batch-norm uses the statistics of the batch and updates the running ones,
                dropout is on, and auxiliary logits are sown.

        Returns:
            Logits, float32 `[N, H, W, num_classes]`; in training, with s = `label_stride`,
            `[N, ceil(H / s), ceil(W / s), num_classes]`.

        Raises:
            UserError: The images are not a batch of floats, or in training the statistics of
                batch-norm cannot move.
        """
        check_images(images, self.in_channels)
        has_statistics = bool(self.variables.get("batch_stats"))
        moves = train and has_statistics and not self.frozen_batch_norm
        if moves and not self.is_mutable_collection("batch_stats"):
            raise UserError(
                "in training the statistics of batch-norm move: call `logits, updates = "
                'model.apply(variables, images, train=True, mutable=["batch_stats"])`, or '
                "build the model with frozen_batch_norm=True"
            )
        return self._compute_logits(images, train=train)

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

    @nn.nowrap
    def backbone_fields(self) -> dict[str, Any]:
        """Return the fields of the backbone that are the network's own, and its name."""
        return {
            "frozen_batch_norm": self.frozen_batch_norm,
            "dtype": self.dtype,
            "remat": self.remat,
            "name": "backbone",
        }

    @nn.nowrap
    def sow_auxiliary(self, name: str, logits: jax.Array, weight: float) -> None:
        """Hand logits to the training step besides those that the network returns.

        The step adds `weight` times their objective to the loss. They are of use in training only,
        and so are the layers that make them: a network has these
        `if train or self.is_initializing()`.

        Args:
            name: The name of the logits.
            logits: float32 `[N, h, w, num_classes]`, of the stride that `auxiliary_strides` names.
            weight: The weight of their objective in the loss.
        """
        self.sow(AUXILIARY, name, (weight, logits), reduce_fn=lambda _, new: new)


def _image_spec(path: tuple[Any, ...], leaf: Any, images: PartitionSpec) -> PartitionSpec:
    """Return how an output of a network is split: maps as the images are, variables not at all."""
    if leaf.ndim != 4 or any(getattr(key, "key", None) in _REPLICATED for key in path):
        return PartitionSpec()
    return PartitionSpec(*images[:3])


def check_images(images: jax.Array, channels: int = 3) -> None:
    """Raise `UserError` unless images are a batch of floats, and say what makes them one.

    Args:
        images: The images that a network was called with.
        channels: How many channels they have.
    """
    remedies = []
    if not jnp.issubdtype(images.dtype, jnp.floating):
        remedies.append(
            "`gcn_jax.models.predict` takes one uint8 image as it is, and "
            "`gcn_jax.models.preprocessing.normalize(images, mean, std)` makes floats"
        )
    match images.shape:
        case (_, _, _, last) if last == channels:
            pass
        case _ if channels != 3:
            remedies.append(f"four axes, of which the last has the {channels} of the network")
        case (_, 3, _, _):
            remedies.append("channels come last: `images.transpose(0, 2, 3, 1)`")
        case (_, _, 3):
            remedies.append("one image is a batch of one: `images[None]`")
        case (3, _, _):
            remedies.append("channels come last: `images.transpose(1, 2, 0)[None]`")
        case (_, _, _, 1):
            remedies.append("grey has three equal channels: `images.repeat(3, axis=-1)`")
        case (_, _, _, 4):
            remedies.append("no alpha channel: `images[..., :3]`")
        case _:
            remedies.append("four axes, of which the last is red, green, blue")
    if remedies:
        raise UserError(
            f"images are {images.dtype}{list(images.shape)}, but must be normalised floats "
            f"[N, H, W, {channels}]; {'; '.join(remedies)}"
        )


def variable_shapes(model: nn.Module) -> Any:
    """Return the shapes and dtypes of a model's variables, without making them.

    Args:
        model: Any Linen module that maps images.
    """
    channels = getattr(model, "in_channels", 3)
    images = jax.ShapeDtypeStruct((1, 32, 32, channels), jnp.float32)
    return jax.eval_shape(model.init, jax.random.key(0), images)
