"""The features of a backbone that stays as it is: computed once for each image, and kept in files.

A folder holds what one backbone makes of images that are prepared in one way, and is named after
the digest of all of that; a file in it is named after the digest of the image as the network sees
it, padded or mirrored. So whatever changes has other names, and runs with the same backbone share
their files. A file that is missing or damaged is computed when it is needed.
"""

import contextlib
import dataclasses
import json
import os
import shutil
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xxhash
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

import gcn_jax
from gcn_jax import atomic, data, inference
from gcn_jax.downloads import cache_folder
from gcn_jax.errors import UserError, setting
from gcn_jax.inference.batches import PaddedBatch, bucket_batches, padded_batch
from gcn_jax.inference.large import is_large
from gcn_jax.mesh import shard_batch
from gcn_jax.models.backbones.registry import FEATURES, FreezableNetwork
from gcn_jax.models.preprocessing import mean_color, normalize
from gcn_jax.models.pretrained.digests import check_digests, digests_of
from gcn_jax.models.pretrained.predict import class_maps
from gcn_jax.terminal import progress
from gcn_jax.training.optimizer import BACKBONE

#: Bytes of the features of all backbones; beyond it those go that were not used for longest.
MOST_BYTES = 20 * 2**30


class Features:
    """The features of images by a network's backbone.

    Args:
        model: The network.
        variables: Its variables, of which the backbone's are copied.
        mean: What is subtracted from images, RGB in 0..255.
        std: By what they are divided then.
        dtype: The type that features are kept in.

    Attributes:
        folder: Where they are kept: below `gcn_jax/features` of `$XDG_CACHE_HOME`, by default
            `~/.cache`.
        num_computed: Number of images whose features this object has computed.
    """

    def __init__(
        self,
        model: FreezableNetwork,
        variables: dict[str, Any],
        mean: tuple[float, float, float],
        std: tuple[float, float, float],
        dtype: Any = np.float16,
    ):
        backbone = model.clone(remat=False).make_backbone()
        own = {name: tree[BACKBONE] for name, tree in variables.items() if BACKBONE in tree}
        facts = {
            "version": gcn_jax.__version__,
            "backbone": repr(backbone),
            "variables": digests_of(own),
            "mean": list(mean),
            "std": list(std),
            "levels": model.levels,
            "dtype": np.dtype(dtype).name,
        }
        digest = xxhash.xxh3_128_hexdigest(json.dumps(facts, sort_keys=True).encode())
        self.folder = cache_folder("features") / digest
        self.num_computed = 0
        self._levels, self._dtype = model.levels, dtype
        # The step of training uses up the state that they are from.
        self._variables = jax.device_put(jax.device_get(own), jax.local_devices()[0])

        def compute(variables, images):
            images = normalize(images, jnp.asarray(mean), jnp.asarray(std))
            features: Any = backbone.apply(variables, images)
            return {level: features[level][0] for level in model.levels}

        self._compute = jax.jit(compute)

    def of(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Return the features of images, and keep those that were not kept.

        Args:
            images: uint8 `[N, H, W, 3]`.

        Returns:
            The features by level, `[N, h, w, C]` each.

        Raises:
            UserError: See `keep`.
        """
        found = [self._read(self._file(image)) or self._make(image) for image in images]
        return {level: np.stack([one[level] for one in found]) for level in self._levels}

    def keep(self, image: np.ndarray) -> None:
        """Compute the features of an image, unless there is a file.

        Args:
            image: uint8 `[H, W, 3]`.

        Raises:
            UserError: The file cannot be written, or the features are beyond its type.
        """
        if not self._file(image).exists():
            self._make(image)

    def _file(self, image: np.ndarray) -> Path:
        digest = xxhash.xxh3_128(str(image.shape).encode())
        digest.update(np.ascontiguousarray(image).data)
        return self.folder / f"{digest.hexdigest()}.safetensors"

    def _make(self, image: np.ndarray) -> dict[str, np.ndarray]:
        exact = jax.device_get(self._compute(self._variables, image[None]))
        with np.errstate(over="ignore"):
            features = {level: np.asarray(a, self._dtype) for level, a in exact.items()}
        if not all(np.isfinite(array).all() for array in features.values()):
            raise UserError(
                f"{setting('data.cache_features')}: features of the backbone are too large for "
                f"{np.dtype(self._dtype).name}, or not finite; set it to False"
            )
        atomic.write(self._file(image), save(features, metadata=digests_of(features)))
        self.num_computed += 1
        return features

    def _read(self, path: Path) -> dict[str, np.ndarray] | None:
        """Read a file; None where it is missing or damaged."""
        try:
            with safe_open(path, framework="numpy") as file:
                features = {level: file.get_tensor(level) for level in self._levels}
                check_digests(features, file.metadata() or {})
        except FileNotFoundError:
            return None
        except (OSError, ValueError, SafetensorError) as error:
            warnings.warn(f"{path} is damaged ({error}); it is computed anew", stacklevel=2)
            return None
        return features


def keep_all(
    features: Features,
    train: "data.Source | data.Mixture",
    val: "data.Source",
    augment: "data.Augment",
) -> str:
    """Keep the features of what a run trains on and is validated on.

    Of a mixture it is the first pass. Features of other backbones go where all take more than
    `MOST_BYTES`.

    Args:
        features: Those of the run's backbone.
        train: The training data, no image larger than the crops.
        val: The validation data. Large images of it are not kept: they are seen in windows.
        augment: The transform of training, which only mirrors and pads.

    Returns:
        A line that says how many there are, how long it took, and where they are.

    Raises:
        UserError: See `Features.keep`.
    """
    start, total = time.monotonic(), len(train) * (1 + augment.flip) + len(val)
    with progress("features") as show:
        for done, image in enumerate(_inputs(train, val, augment), start=1):
            features.keep(image)
            show(done, total)
    seconds = time.monotonic() - start
    size = _tidy(features.folder)
    mirrored = ", those of training also mirrored" if augment.flip else ""
    return (
        f"features of {len(train) + len(val)} images{mirrored}: {features.num_computed} computed "
        f"in {seconds:.0f} s, kept in {features.folder}, {size / 1e9:.2f} GB"
    )


def _inputs(
    train: "data.Source | data.Mixture", val: "data.Source", augment: "data.Augment"
) -> Iterator[np.ndarray]:
    """Yield all images that the network sees, as it sees them."""
    still = dataclasses.replace(augment, flip=False)
    no_choice = np.random.default_rng(0)  # where nothing is cropped nothing depends on it
    for index in range(len(train)):
        image = still.random_map(train[index], no_choice)["image"]
        yield image
        if augment.flip:
            yield image[:, ::-1]
    for group in bucket_batches(val, 1, is_large):
        if not is_large(group[0][1]["image"].shape[:2]):
            fill = mean_color(augment.fill, group[0][1]["image"].dtype)
            yield padded_batch(group, 1, fill).images[0]


def _tidy(folder: Path) -> int:
    """Note that a folder was used, remove others beyond `MOST_BYTES`, and return its size."""
    os.utime(folder)
    own = total = _size(folder)
    others = [path for path in folder.parent.iterdir() if path != folder]
    with contextlib.suppress(FileNotFoundError):  # another run does the same
        for path in sorted(others, key=lambda path: path.stat().st_mtime, reverse=True):
            total += _size(path)
            if total > MOST_BYTES:  # a run that needs it computes it again
                shutil.rmtree(path, ignore_errors=True)
    return own


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("*.safetensors"))


class FeaturesPredictor(inference.Predictor):
    """A predictor whose network sees the features of images that are no larger than a batch's.

    Args:
        features: Those of the backbone of its network.
        *args: As of `Predictor`.
        **kwargs: As of `Predictor`, without settings of inference.
    """

    def __init__(self, features: Features, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._features = features

    def predict_batch(self, batch: PaddedBatch) -> jax.Array:
        """Return the class of each pixel, int32 `[N, H, W]` on the devices, padding included."""
        there = self._features.of(batch.images[: len(batch.examples)])
        missing = len(batch.images) - len(batch.examples)
        there = {
            level: np.pad(array, [(0, missing), (0, 0), (0, 0), (0, 0)])
            for level, array in there.items()
        }
        arrays = shard_batch({**there, "images": batch.images}, self.mesh, same_on_every_host=True)
        images = arrays.pop("images")
        variables = {**self._variables, FEATURES: arrays}
        number, height, width, _ = images.shape
        self.compiled_shapes.add((number, height, width))
        return class_maps(self._model, variables, images, self._mean, self._std)
