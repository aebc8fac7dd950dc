"""From images of any size to class maps of the same size: scales, flips and windows.

`evaluate`, `predict.py` and the pages of `report` all predict through `Predictor`, so the same
settings give the same class maps everywhere.
"""

import copy
import dataclasses
import functools
import math
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from gcn_jax.errors import UserError
from gcn_jax.inference import bands, resizing, windows
from gcn_jax.inference.batches import Example, Examples, PaddedBatch, padded_batches
from gcn_jax.inference.crf import CRFParameters, dense_crf_batch
from gcn_jax.mesh import batch_sharding, data_mesh, replicated, shard_batch, to_host
from gcn_jax.models.layers import size_of
from gcn_jax.models.preprocessing import BUCKET_MULTIPLE, bucket, mean_color
from gcn_jax.models.pretrained.predict import class_maps, logits
from gcn_jax.models.pretrained.restore import Pretrained

Shape = tuple[int, int]

#: Scales, sides of a window in pixels and overlaps beyond these were not meant.
SMALLEST_SCALE, LARGEST_SCALE = 0.05, 16.0
LONGEST_WINDOW, LARGEST_OVERLAP = 8_192, 0.95
#: Pixels of an enlarged image, padding included, above which it is refused: 5,792 x 5,792.
MOST_PIXELS = 2**25

#: Pixels of an image above which the network sees windows of it, not the whole: 2,896 x 2,896. The
#: window and its overlap where none is given.
WHOLE_PIXELS = 2**23
LARGE_WINDOW, LARGE_WINDOW_OVERLAP = (1_024, 1_024), 1 / 3


@dataclasses.dataclass(frozen=True)
class Inference:
    """The way from an image to its class map; by default one run of the network.

    Probabilities are averaged: over the windows of a scale at that scale, over the scales and
    flips at the size of the image. A dense CRF refines the average.

    Attributes:
        scales: Factors of the image's size (bilinear, no antialiasing), such as (0.5, 1.0, 1.5).
        flip: Whether the mirrored image is predicted too, at each scale.
        window: (height, width) in pixels, or one number for both, of windows that slide over the
            image at each scale; most often the crop size of the training. The network then sees
            nothing but windows: smaller images are padded to one with the mean colour. None: it
            sees whole images.
        overlap: The least share of a window that its neighbour covers too, in [0, 1). The windows
            are spread evenly, so it may be more. Window 1024 and overlap 0.66 make four windows of
            a 2048 x 1024 image, the number in the paper.
        crf: Parameters of the dense CRF; None: without one.
    """

    scales: tuple[float, ...] = (1.0,)
    flip: bool = False
    window: Shape | int | None = None
    overlap: float = 1 / 3
    crf: CRFParameters | None = None

    def __post_init__(self) -> None:
        window = (self.window,) * 2 if isinstance(self.window, int) else self.window
        if window is not None:
            object.__setattr__(self, "window", tuple(window))  # lists have no hash
        object.__setattr__(self, "scales", tuple(self.scales))
        if not self.scales or not all(0 < scale < math.inf for scale in self.scales):
            raise UserError(f"scales are {self.scales}; give one or more, above 0")
        if not all(SMALLEST_SCALE <= scale <= LARGEST_SCALE for scale in self.scales):
            raise UserError(
                f"scales are {self.scales}; each lies from {SMALLEST_SCALE} to {LARGEST_SCALE}"
            )
        if window is not None and (len(window) != 2 or min(window) < 1):
            raise UserError(f"window is {window}; it is (height, width) in pixels")
        if window is not None and max(window) > LONGEST_WINDOW:
            raise UserError(
                f"window is {window}; images are padded to it, so that {LONGEST_WINDOW} "
                "pixels are the most; without a window the network sees whole images"
            )
        if not 0 <= self.overlap < 1:
            raise UserError(f"overlap is {self.overlap}; it is a share of a window in [0, 1)")
        if self.overlap > LARGEST_OVERLAP:
            raise UserError(
                f"overlap is {self.overlap}; above {LARGEST_OVERLAP} there are too many windows"
            )

    @property
    def window_size(self) -> Shape | None:
        """The (height, width) of `window`, whichever way that was given."""
        return (self.window, self.window) if isinstance(self.window, int) else self.window

    @property
    def is_plain(self) -> bool:
        """Whether one run of the network is all."""
        return self.scales == (1.0,) and not (self.flip or self.window or self.crf)

    def canvas(self, shape: Shape, scale: float) -> Shape:
        """Return the (height, width) that the images of a bucket are padded to at a scale.

        Args:
            shape: The (height, width) of the bucket, in pixels.
            scale: The factor of the images' size.

        Raises:
            UserError: An enlarged image would have more than `MOST_PIXELS`.
        """
        least = self.window_size or (1, 1)
        # To thousandths of a pixel, so that 320 * 0.7 is 224.
        scaled = (math.ceil(round(length * scale, 3)) for length in shape)
        height, width = (-(-length // BUCKET_MULTIPLE) * BUCKET_MULTIPLE for length in scaled)
        if scale > 1 and height * width > MOST_PIXELS:
            raise UserError(
                f"scale {scale:g} makes {height} x {width} pixels of an image of {shape[0]} x "
                f"{shape[1]}, and {MOST_PIXELS} pixels are the most; name smaller scales"
            )
        return max(height, least[0]), max(width, least[1])

    def input_shapes(self, shape: Shape) -> set[Shape]:
        """Return the (height, width) of all that the network sees of the images of a bucket."""
        if self.window_size is not None:
            return {self.window_size}
        return {self.canvas(shape, scale) for scale in self.scales}


#: The default: one run on the image as it is.
ONE_RUN = Inference()


class Predictor:
    """A model on its devices, ready to predict images of any size.

    Every function is compiled once for a model and a bucket, however many predictors there are.

    Attributes:
        info: The model's classes and preprocessing.
        inference: Scales, flips, windows and CRF.
        batch_size: Images a step, a multiple of the mesh's devices.
        mesh: Over whose axis "data" a batch is split.
        compiled_shapes: (N, height, width) of the inputs that the network has been run on.

    Example:
        >>> pretrained = models.load_pretrained("runs/quickstart")
        >>> predictor = Predictor(pretrained, inference=Inference(flip=True))
        >>> for _, example, labels in predictor.predict([{"image": image}]):
        ...     show(labels)
    """

    def __init__(
        self,
        pretrained: Pretrained,
        *,
        inference: Inference = ONE_RUN,
        batch_size: int = 1,
        mesh: Mesh | None = None,
    ):
        """Put the variables on the devices.

        Args:
            pretrained: The model, its variables, which lie on the host or on devices, its classes
                and its preprocessing: what `models.load_pretrained` returns.
            inference: Scales, flips, windows and CRF.
            batch_size: Images a step, rounded up to a multiple of the mesh's devices.
            mesh: Over whose axis "data" a batch is split; one device of this host if None.
        """
        self.info, self.inference = pretrained.info, inference
        self.mesh = mesh if mesh is not None else data_mesh(jax.local_devices()[:1])
        self.batch_size = -(-batch_size // self.mesh.size) * self.mesh.size
        self.compiled_shapes: set[tuple[int, int, int]] = set()
        self._model = pretrained.model
        self._variables = jax.device_put(pretrained.variables, replicated(self.mesh))
        self._mean = np.asarray(self.info.mean, np.float32)
        self._std = np.asarray(self.info.std, np.float32)

    def without_crf(self) -> "Predictor":
        """Return what predicts the same before the CRF."""
        before = copy.copy(self)
        before.inference = dataclasses.replace(self.inference, crf=None)
        return before

    def predict(self, source: Examples) -> Iterator[tuple[int, Example, np.ndarray]]:
        """Predict every image of a source, once, at its own size; labels are not looked at.

        An image of more than `WHOLE_PIXELS` is predicted in windows, whose memory is bounded.

        Yields:
            (index in the source, example, class map int32 `[H, W]`); in the order of the source if
            the batch size is 1, else by bucket. Nothing of what was yielded is kept.

        Raises:
            UserError: Such an image is to be scaled, or refined by a CRF.
        """
        for batch in self.batches(source):
            if math.prod(batch.images.shape[1:3]) > WHOLE_PIXELS:
                for index, example in zip(batch.indices, batch.examples, strict=True):
                    yield index, example, self.predict_large(example["image"])
            else:
                yield from batch.cut(to_host(self.predict_batch(batch)))

    def predict_large(self, image: np.ndarray) -> np.ndarray:
        """Predict one image window by window, on the first device.

        Args:
            image: uint8 `[H, W, 3]`.

        Returns:
            The class map, int32 `[H, W]`.

        Raises:
            UserError: It is to be scaled, or refined by a CRF.
        """
        how = self.inference
        if how.scales != (1.0,) or how.crf is not None:
            raise UserError(
                f"an image of {image.shape[1]} x {image.shape[0]} pixels is predicted in windows, "
                f"as all above {WHOLE_PIXELS} pixels: not at other scales, nor with a CRF"
            )
        height, width = image.shape[:2]
        own = min(LARGE_WINDOW[0], bucket(height)), min(LARGE_WINDOW[1], bucket(width))
        window = how.window_size or own
        overlap = how.overlap if how.window else LARGE_WINDOW_OVERLAP
        size = max(height, window[0]), max(width, window[1])
        if size != (height, width):
            padded = np.empty((*size, 3), np.uint8)
            padded[...] = mean_color(self.info.mean)
            padded[:height, :width] = image
            image = padded
        self.compiled_shapes.add((1, *window))
        return bands.class_map(image, self._of_window, window, overlap)[:height, :width]

    def _of_window(self, image: np.ndarray) -> np.ndarray:
        result = np.asarray(self._run(jnp.asarray(image[None])))[0]
        if not self.inference.flip:
            return result
        mirrored = np.asarray(self._run(jnp.asarray(image[None, :, ::-1])))[0, :, ::-1]
        return (result + mirrored) / 2

    def batches(self, source: Examples) -> Iterator[PaddedBatch]:
        """Read every example of a source once, in batches for this predictor."""
        return padded_batches(source, self.batch_size, mean_color(self.info.mean))

    def predict_batch(self, batch: PaddedBatch) -> jax.Array:
        """Return the class of each pixel, int32 `[N, H, W]` on the devices, padding included."""
        arrays = shard_batch(
            {"images": batch.images, "sizes": batch.sizes}, self.mesh, same_on_every_host=True
        )
        seen = self.inference.input_shapes(size_of(batch.images))
        self.compiled_shapes |= {(len(batch.images), *shape) for shape in seen}
        if self.inference.is_plain:  # no softmax and no copies
            return class_maps(self._model, self._variables, arrays["images"], self._mean, self._std)
        probabilities = self.probabilities(arrays["images"], arrays["sizes"])
        if self.inference.crf is not None:
            return self._refined(batch, to_host(probabilities), self.inference.crf)
        return _most_likely(probabilities)

    def _refined(
        self, batch: PaddedBatch, probabilities: np.ndarray, crf: CRFParameters
    ) -> jax.Array:
        """Return the class maps after the CRF, whose lattices are built on the host."""
        maps = np.zeros(batch.images.shape[:3], np.int32)
        sizes = [(height, width) for height, width in batch.sizes[: len(batch.examples)].tolist()]
        marginals = dense_crf_batch(probabilities, batch.images, crf, sizes)
        for own, (height, width), refined in zip(maps, sizes, marginals, strict=False):
            own[:height, :width] = refined.argmax(axis=-1)
        return shard_batch({"maps": maps}, self.mesh, same_on_every_host=True)["maps"]

    def probabilities(
        self, images: jax.Array | np.ndarray, sizes: jax.Array | np.ndarray
    ) -> jax.Array:
        """Return the probability of each class, averaged over scales, flips and windows.

        Args:
            images: uint8 `[N, H, W, 3]` of one bucket, padded with the mean colour.
            sizes: int32 `[N, 2]`, the (height, width) of each image.

        Returns:
            float32 `[N, H, W, C]` on the devices; what lies beyond `sizes` means nothing.
        """
        shape = size_of(images)
        total = self._zeros(images.shape[0], shape)
        flips = (False, True) if self.inference.flip else (False,)
        weight = 1 / (len(self.inference.scales) * len(flips))
        for scale in self.inference.scales:
            canvas = self.inference.canvas(shape, scale)
            for flip in flips:
                view, view_sizes = _take_view(images, sizes, self._mean, scale, flip, canvas)
                result = self._of_view(view, view_sizes)
                total = _add_view(total, result, view_sizes, sizes, weight, flip)
        return total

    def _of_view(self, view: jax.Array, sizes: jax.Array) -> jax.Array:
        """Predict the images as they are, or window by window, which bounds the memory."""
        window = self.inference.window_size
        if window is None:
            return self._run(view)
        grid = windows.make_grid(size_of(view), window, self.inference.overlap)
        total = self._zeros(view.shape[0], size_of(view))
        for index in range(math.prod(grid)):
            result = self._run(_crop(view, sizes, index, window, grid))
            total = _add_window(total, result, sizes, index, grid)
        return _divide_by_coverage(total, sizes, window, grid)

    def _run(self, inputs: jax.Array) -> jax.Array:
        return _probabilities(self._model, self._variables, inputs, self._mean, self._std)

    def _zeros(self, number: int, shape: Shape) -> jax.Array:
        sharding = batch_sharding(self.mesh)
        return jnp.zeros((number, *shape, len(self.info.class_names)), jnp.float32, device=sharding)


@functools.partial(jax.jit, static_argnames="model")
def _probabilities(model, variables, inputs, mean, std):
    return jax.nn.softmax(logits(model, variables, inputs, mean, std), axis=-1)


@jax.jit
def _most_likely(probabilities):
    return jnp.argmax(probabilities, axis=-1).astype(jnp.int32)


@functools.partial(jax.jit, static_argnames="canvas")
def _take_view(images, sizes, mean, scale, flip, canvas):
    """Scale, mirror and pad images; return them and their sizes."""
    view_sizes = jnp.maximum(jnp.rint(sizes * scale), 1).astype(jnp.int32)
    view = resizing.resize(images.astype(jnp.float32), sizes, view_sizes, canvas, mirror=flip)
    return resizing.fill_outside(view, view_sizes, jnp.rint(mean)), view_sizes


@functools.partial(jax.jit, donate_argnames="total")
def _add_view(total, view, view_sizes, sizes, weight, flip):
    """Add the probabilities of a view, brought back to the images' size, to a weighted sum."""
    own = resizing.resize(view, view_sizes, sizes, total.shape[1:3], mirror=flip)
    return total + weight * own


@functools.partial(jax.jit, static_argnames=("window", "grid"))
def _crop(view, sizes, index, window, grid):
    return windows.crop(view, windows.origins(index, sizes, window, grid), window)


@functools.partial(jax.jit, static_argnames="grid", donate_argnames="total")
def _add_window(total, result, sizes, index, grid):
    starts = windows.origins(index, sizes, result.shape[1:3], grid)
    return windows.add(total, result, starts)


@functools.partial(jax.jit, static_argnames=("window", "grid"), donate_argnames="total")
def _divide_by_coverage(total, sizes, window, grid):
    return total / windows.coverage(sizes, total.shape[1:3], window, grid)[..., None]
