"""From images of any size to class maps of the same size: scales, flips and windows.

`evaluate`, `predict.py` and the pages of `report` all predict through `Predictor`, so the same
settings give the same class maps everywhere.
"""

import contextlib
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
from gcn_jax.inference import large, views, windows
from gcn_jax.inference.batches import (
    Example,
    Examples,
    LargeImage,
    PaddedBatch,
    bucket_batches,
    padded_batch,
)
from gcn_jax.inference.crf import CRFParameters, dense_crf_batch
from gcn_jax.inference.settings import ONE_RUN, Inference, Shape
from gcn_jax.mesh import batch_sharding, data_mesh, replicated, shard_batch, to_host
from gcn_jax.models.layers import size_of, split_rows
from gcn_jax.models.preprocessing import BUCKET_MULTIPLE, mean_color
from gcn_jax.models.pretrained.predict import class_maps, logits
from gcn_jax.models.pretrained.restore import Pretrained


class Predictor:
    """A model on its devices, ready to predict images of any size.

    Every function is compiled once for a model and a bucket, however many predictors there are.

    Attributes:
        info: The model's classes and preprocessing.
        num_parameters: How many numbers of the model are learned.
        inference: Scales, flips, windows and CRF.
        batch_size: Images a step, a multiple of the mesh's axis "data".
        mesh: Over which a batch is split.
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
            batch_size: Images a step, rounded up to a multiple of the mesh's axis "data".
            mesh: Over which a batch is split; one device of this host if None. Devices of its axis
                "height" share the rows of each image, which the network then sees whole, however
                large it is.

        Raises:
            UserError: Rows are split, and windows or `pad_to` are asked for.
        """
        self.info, self.inference = pretrained.info, inference
        self.mesh = mesh if mesh is not None else data_mesh(jax.local_devices()[:1])
        parts = self.mesh.shape["data"]
        self.batch_size = -(-batch_size // parts) * parts
        self._rows = self.mesh.shape.get("height", 1)
        if self._rows > 1 and inference.window is not None:
            raise UserError(
                "windows are for images that one device sees part by part; where devices share the "
                "rows of an image, the network sees it whole: leave out the window, or the split"
            )
        if self._rows > 1 and inference.pad_to is not None:  # devices have as many rows each
            raise UserError(
                f"images are to be padded to {inference.pad_to} and no other size, as a protocol "
                "has it, which devices that share their rows cannot: leave out it, or the split"
            )
        self.compiled_shapes: set[tuple[int, int, int]] = set()
        self.num_parameters = sum(
            leaf.size for leaf in jax.tree.leaves(pretrained.variables["params"])
        )
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

        Large images (`large.is_large`) are predicted in windows, whose memory is bounded, unless
        devices share their rows.

        Yields:
            (index in the source, example, class map `[H, W]`: int32, or uint8 of large images); in
            the order of the source if the batch size is 1, else by bucket. Nothing of what was
            yielded is kept.

        Raises:
            UserError: See `predict_large`.
        """
        for turn in self.turns(source):
            if isinstance(turn, LargeImage):
                yield turn.index, turn.example, self.predict_large(turn.example["image"])
            else:
                yield from turn.cut(to_host(self.predict_batch(turn)))

    def predict_probabilities(self, image: np.ndarray, into: np.ndarray) -> np.ndarray:
        """Predict one image, and keep the probability of each class of each pixel.

        Args:
            image: uint8 `[H, W, 3]`.
            into: Floats `[H, W, C]`, such as a file in memory (`probability_file`), which get the
                probabilities, after the averages and the CRF.

        Returns:
            The class map `[H, W]`, int32, or uint8 of a large image: where probabilities are
            largest before they are rounded to the type of `into`.

        Raises:
            UserError: See `predict_large`.
        """
        (turn,) = self.turns([{"image": image}])
        if isinstance(turn, LargeImage):
            return self.predict_large(image, into)
        batch = shard_batch(
            {"images": turn.images, "sizes": turn.sizes}, self.mesh, same_on_every_host=True
        )
        seen = self.inference.input_shapes(size_of(turn.images))
        self.compiled_shapes |= {(len(turn.images), *shape) for shape in seen}
        found = to_host(self.probabilities(batch["images"], batch["sizes"]))
        if self.inference.crf is not None:
            sizes = [size_of(image[None])]
            refined = dense_crf_batch(found, turn.images, self.inference.crf, sizes)
            found = np.stack(refined)
        ((_, _, own),) = turn.cut(found)
        into[...] = own
        return own.argmax(axis=-1).astype(np.int32)

    def predict_large(self, image: np.ndarray, into: np.ndarray | None = None) -> np.ndarray:
        """Predict one image window by window.

        Args:
            image: uint8 `[H, W, 3]`.
            into: Floats `[H, W, C]` that get the probabilities; None where nobody wants them.

        Returns:
            The class map `[H, W]`, uint8 for up to 256 classes, else int32.

        Raises:
            UserError: It is to be refined by a CRF, or scaled below `large.SMALLEST_SCALE`.
        """
        plan = large.plan(size_of(image[None]), self.inference)
        self.compiled_shapes |= {(1, *seen.canvas) for seen in plan.views}
        num_classes = len(self.info.class_names)
        return large.class_map(image, plan, self._of_window, num_classes, into)

    def _of_window(self, image: np.ndarray, seen: large.Seen) -> np.ndarray:
        """Return the probabilities of a window of a large image at a scale: float32 `[h, w, C]`."""
        height, width = image.shape[:2]
        if seen.window != (height, width):  # the image is smaller
            padded = np.empty((*seen.window, image.shape[2]), image.dtype)
            padded[...] = mean_color(self.info.mean, image.dtype)
            padded[:height, :width] = image
            image = padded
        images, sizes = jnp.asarray(image[None]), jnp.asarray([[height, width]], jnp.int32)
        if seen.scale == 1 and not self.inference.flip:
            return np.asarray(self._run(images))[0, :height, :width]
        total = jnp.zeros((1, *seen.window, len(self.info.class_names)), jnp.float32)

        def run(view, view_sizes):
            return self._run(view)

        total = self._add_scale(total, images, sizes, seen.scale, seen.canvas, 1.0, run)
        return np.asarray(total)[0, :height, :width]

    def turns(self, source: Examples) -> Iterator[PaddedBatch | LargeImage]:
        """Read every example of a source once, in batches for this predictor or, if large, alone.

        Yields:
            Batches for `predict_batch`, and images for `predict_large`.
        """
        for group in bucket_batches(
            source, self.batch_size, self._needs_windows, self._batch_shape
        ):
            index, example = group[0]
            if self._needs_windows(size_of(example["image"][None])):
                yield LargeImage(index, example)
            else:
                yield self._padded(group)

    def batches(self, source: Examples) -> Iterator[PaddedBatch]:
        """Read every example of a source once, whatever its size, in batches for this predictor."""
        groups = bucket_batches(source, self.batch_size, shape_of=self._batch_shape)
        return map(self._padded, groups)

    def _needs_windows(self, size: Shape) -> bool:
        return self._rows == 1 and large.is_large(size)

    def _batch_shape(self, size: Shape) -> Shape:
        """Return the size that an image is padded to: each device has as many of its rows."""
        height, width = self.inference.batch_shape(size)
        multiple = self._rows * BUCKET_MULTIPLE if self._rows > 1 else 1
        return -(-height // multiple) * multiple, width

    def _padded(self, group: list[tuple[int, Example]]) -> PaddedBatch:
        fill = mean_color(self.info.mean, group[0][1]["image"].dtype)
        return padded_batch(group, self.batch_size, fill, self._batch_shape)

    def predict_batch(self, batch: PaddedBatch) -> jax.Array:
        """Return the class of each pixel, int32 `[N, H, W]` on the devices, padding included."""
        arrays = shard_batch(
            {"images": batch.images, "sizes": batch.sizes}, self.mesh, same_on_every_host=True
        )
        seen = self.inference.input_shapes(size_of(batch.images))
        self.compiled_shapes |= {(len(batch.images), *shape) for shape in seen}
        if self.inference.is_plain:  # no softmax and no copies
            with self._formulation():
                return class_maps(
                    self._model, self._variables, arrays["images"], self._mean, self._std
                )
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
            images: uint8 `[N, H, W, 3]` of one bucket (`Inference.batch_shape`), padded with the
                mean colour.
            sizes: int32 `[N, 2]`, the (height, width) of each image.

        Returns:
            float32 `[N, H, W, C]` on the devices; what lies beyond `sizes` means nothing.
        """
        shape = size_of(images)
        total = self._zeros(images.shape[0], shape)
        weight = 1 / len(self.inference.scales)
        for scale in self.inference.scales:
            canvas = self.inference.canvas(shape, scale)
            total = self._add_scale(total, images, sizes, scale, canvas, weight, self._of_view)
        return total

    def _add_scale(self, total, images, sizes, scale, canvas, weight, run):
        """Add the probabilities at a scale, averaged over the flips, to a weighted sum."""
        how = self.inference
        mirrors_windows = how.stride is not None
        fill = self._mean if how.pads_with_mean else np.rint(self._mean)
        view_sizes = views.sizes_at(sizes, scale, *how.sides(scale))
        flips = (False, True) if how.flip and not mirrors_windows else (False,)
        for flip in flips:
            view = views.take(images, sizes, view_sizes, fill, flip, canvas)
            result = run(view, view_sizes)
            total = views.add(total, result, view_sizes, sizes, weight / len(flips), flip)
        return total

    def _of_view(self, view: jax.Array, sizes: jax.Array) -> jax.Array:
        """Predict the images as they are, or window by window, which bounds the memory."""
        how = self.inference
        window, stride = how.window_size, how.stride_size
        if window is None:
            return self._run(view)
        if stride is not None:
            own_sizes = sizes
            view, sizes = views.to_middle(view, own_sizes, window)
        grid = windows.make_grid(size_of(view), window, how.overlap, stride)
        total = self._zeros(view.shape[0], size_of(view))
        for index in range(math.prod(grid)):
            part = views.crop(view, sizes, index, window, grid, stride)
            result = self._run(part)
            if stride is not None and how.flip:
                result = (result + self._run(part[:, :, ::-1])[:, :, ::-1]) / 2
            total = views.add_window(total, result, sizes, index, grid, stride)
        total = views.divide_by_coverage(total, sizes, window, grid, stride)
        return total if stride is None else views.from_middle(total, own_sizes, window)

    def _run(self, inputs: jax.Array) -> jax.Array:
        with self._formulation():
            return _probabilities(self._model, self._variables, inputs, self._mean, self._std)

    def _formulation(self) -> contextlib.AbstractContextManager[None]:
        return split_rows() if self._rows > 1 else contextlib.nullcontext()

    def _zeros(self, number: int, shape: Shape) -> jax.Array:
        sharding = batch_sharding(self.mesh, rows=True)
        return jnp.zeros((number, *shape, len(self.info.class_names)), jnp.float32, device=sharding)


@functools.partial(jax.jit, static_argnames="model")
def _probabilities(model, variables, inputs, mean, std):
    return jax.nn.softmax(logits(model, variables, inputs, mean, std), axis=-1)


@jax.jit
def _most_likely(probabilities):
    return jnp.argmax(probabilities, axis=-1).astype(jnp.int32)
