"""The stream of training batches: shuffled, augmented, sharded by process, resumable."""

import dataclasses
from typing import Any, Protocol

import cv2
import grain

from gcn_jax.data.mixture import Mixture
from gcn_jax.data.transforms import Augment
from gcn_jax.errors import UserError


class Examples(Protocol):
    """Anything with a length and examples by index."""

    def __len__(self) -> int:
        """Return the number of examples."""

    def __getitem__(self, index: int, /) -> dict[str, Any]:
        """Return one example."""


@dataclasses.dataclass(frozen=True)
class _Read(grain.transforms.MapWithIndex):
    """Read the example of a number."""

    source: Examples

    def map_with_index(self, position: int, number: int) -> dict[str, Any]:
        if isinstance(self.source, Mixture):  # what it holds may differ from pass to pass
            return self.source.in_pass(position // len(self.source), number)
        return self.source[number]


class _Keep(grain.transforms.Map):
    """Keep what `Augment` takes."""

    def map(self, element: dict[str, Any]) -> dict[str, Any]:
        return {key: element[key] for key in ("image", "label", "id")}


def shuffled(source: Examples, seed: int) -> grain.MapDataset:
    """Return the examples of a source in the order of training, pass after pass, as they are.

    Args:
        source: What is trained on, read by index.
        seed: The seed of the order.
    """
    numbers = grain.MapDataset.range(len(source)).seed(seed).shuffle().repeat()
    return numbers.map_with_index(_Read(source))


def training_examples(source: Examples, augment: Augment, seed: int) -> grain.MapDataset:
    """Return what training sees one by one: example `i` is made of `shuffled(source, seed)[i]`.

    Args:
        source: What is trained on, read by index.
        augment: The transform of training.
        seed: The seed of order and augmentation.
    """
    # A map more or less would give `random_map` other random numbers, and runs could not go on.
    return shuffled(source, seed).map(_Keep()).random_map(augment)


def training_batches(
    source: Examples,
    augment: Augment,
    *,
    batch_size: int,
    seed: int,
    num_threads: int = 4,
    process_index: int = 0,
    process_count: int = 1,
) -> grain.DatasetIterator:
    """Make an endless iterator over training batches.

    Each pass over the source is shuffled anew. Which example stands at a position of the stream,
    and how it is augmented, depends on the seed and the position alone: not on the number of
    threads or processes, nor on where the iterator was stopped and resumed. `get_state()` and
    `set_state()` read and set the position.

    The threads are the parallelism: OpenCV's own are switched off for this process.

    Args:
        source: Examples `{"image": uint8 [H, W, 3], "label": uint8 [H, W]}` of any sizes.
        augment: The transform that gives all of them one size.
        batch_size: Examples in a batch over all processes.
        seed: The seed of order and augmentation.
        num_threads: How many threads read and augment; 0 for none.
        process_index: Which process this is; it gets every `process_count`-th example.
        process_count: How many processes share the stream.

    Returns:
        An iterator over `{"image": uint8 [N, H, W, 3], "label": uint8 [N, H, W]}` with
        `N = batch_size / process_count`.

    Raises:
        UserError: The batch does not divide among the processes.
    """
    if batch_size % process_count:
        raise UserError(f"batch_size {batch_size} does not divide among {process_count} processes")
    cv2.setNumThreads(0)
    examples = training_examples(source, augment, seed)
    # The stream has no end; without drop_remainder Grain rounds its length up, and overflows.
    local = examples[process_index::process_count].batch(
        batch_size // process_count, drop_remainder=True
    )
    options = grain.ReadOptions(num_threads=num_threads, prefetch_buffer_size=2 * num_threads)
    return iter(local.to_iter_dataset(options))
