"""Find the parameters of a dense CRF for a trained model.

    gcn-jax crf-search --ckpt runs/camvid --split val --num_images 20
    gcn-jax crf-search --ckpt runs/a --bilateral_weight 3,4,5 --bilateral_sxy 50,70

Every combination of the values is scored on images spread evenly over the split, and the best are
printed. By default the values are those that DeepLab v2 searched.
"""

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Sequence

import jax.numpy as jnp
import numpy as np
from absl import flags
from rich.table import Table

from gcn_jax import mesh, models
from gcn_jax.cli import process
from gcn_jax.cli.flags import define_run_flags, expect_arguments
from gcn_jax.cli.inference_flags import define_inference_flags
from gcn_jax.errors import UserError
from gcn_jax.evaluation.crf_search import DEEPLAB_V2_GRID, SearchResult, make_grid, search
from gcn_jax.evaluation.metrics import check_labels
from gcn_jax.inference import Predictor
from gcn_jax.inference.crf.parameters import PRESETS
from gcn_jax.terminal import make_console, progress, say
from gcn_jax.training.run_data import open_run_data

FLAGS = flags.FlagValues()
define_run_flags(FLAGS)
flags.DEFINE_integer("num_images", 20, "Images of the split.", lower_bound=1, flag_values=FLAGS)
flags.DEFINE_integer("iterations", 10, "Mean-field iterations.", lower_bound=1, flag_values=FLAGS)
flags.DEFINE_integer("top", 10, "Settings to print.", lower_bound=1, flag_values=FLAGS)
_BASE = PRESETS["deeplab_v1"]
_VALUES = {
    name: flags.DEFINE_list(
        name,
        [f"{value:g}" for value in DEEPLAB_V2_GRID.get(name, (getattr(_BASE, name),))],
        f"Values of {name} to try.",
        flag_values=FLAGS,
    )
    for name in (
        "gaussian_sxy",
        "gaussian_weight",
        "bilateral_sxy",
        "bilateral_srgb",
        "bilateral_weight",
    )
}
_INFERENCE = define_inference_flags(FLAGS)
process.define_compilation_cache(FLAGS)


def run(arguments: list[str]) -> None:
    """Search, and print the best settings."""
    expect_arguments(arguments, "", 0)
    grid = make_grid({"iterations": [FLAGS.iterations], **_values()})
    inference = _INFERENCE()
    if inference.crf is not None:
        raise UserError(
            "a CRF is what search looks for: no --crf, nor a protocol with one; give values to "
            "try: --gaussian_sxy=1,3"
        )
    source = open_run_data(FLAGS.ckpt, FLAGS.split, FLAGS.data_dir, FLAGS.manual_dir)
    if not source.is_labelled:
        raise UserError(f"{source.name} has no labels to search with")
    # Spread over the split: neighbours in it are often of one scene.
    count = min(FLAGS.num_images, len(source))
    chosen = [source[i * len(source) // count] for i in range(count)]
    pretrained = models.load_pretrained(FLAGS.ckpt, step=FLAGS.step)
    predictor = Predictor(pretrained, inference=inference)
    with progress(source.name) as show:
        results = search(_samples(predictor, chosen, show), grid)
    make_console().print(_table(results[: FLAGS.top], f"{count} images of {source.name}"))
    without = next(result for result in results if result.parameters is None)
    say(f"without a CRF: mIoU {100 * without.scores.miou:.2f} {without.scores.over_classes}")
    if results[0].parameters is not None:
        best = dataclasses.astuple(results[0].parameters)
        say(f"best: --crf={','.join(f'{value:g}' for value in best)}")


def _values() -> dict[str, list[float]]:
    try:
        return {name: [float(word) for word in flag.value] for name, flag in _VALUES.items()}
    except ValueError as error:
        raise UserError(f"values to try are numbers, with commas between: {error}") from None


def _samples(
    predictor: Predictor,
    samples: Sequence[dict],
    progress: Callable[[int, int], None],
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield (probabilities, image, label) of each sample."""
    done = itertools.count(1)
    for batch in predictor.batches(samples):
        images, sizes = jnp.asarray(batch.images), jnp.asarray(batch.sizes)
        probabilities = mesh.to_host(predictor.probabilities(images, sizes))
        for _, sample, own in batch.cut(probabilities):
            where = f"label of image {sample['id']!r}"
            check_labels(sample["label"], own.shape[-1], where=where)
            yield own, sample["image"], sample["label"]
            progress(next(done), len(samples))


def _table(results: Sequence[SearchResult], title: str) -> Table:
    table = Table(*_VALUES, "mIoU, %", "classes", "pixel accuracy, %", title=title)
    for parameters, scores in results:
        values = ["no CRF"] + ["-"] * (len(_VALUES) - 1)
        if parameters is not None:
            values = [f"{getattr(parameters, name):g}" for name in _VALUES]
        counted = f"{scores.num_classes_counted} of {len(scores.confusion_matrix)}"
        miou, accuracy = (f"{100 * s:.2f}" for s in (scores.miou, scores.pixel_accuracy))
        table.add_row(*values, miou, counted, accuracy)
    return table
