"""`python -m gcn_jax.evaluation.crf search --ckpt DIR`: find the parameters of a dense CRF.

    python -m gcn_jax.evaluation.crf search --ckpt runs/camvid [--split val] [--num_images 20]
        [--bilateral_weight 3,4,5 --bilateral_sxy 50,70 --bilateral_srgb 3,5] [--scales 0.5,1.0,1.5]

Every combination of the values is scored on images spread evenly over the split, and the best are
printed. By default the values are those that DeepLab v2 searched.

Like `evaluate.py` this is a verb, on top of all rooms: it opens data sets, which the package that
it lies in does not.
"""

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from absl import flags
from rich.console import Console
from rich.table import Table

from gcn_jax import mesh, models, report
from gcn_jax.cli import process
from gcn_jax.cli.flags import define_inference_flags
from gcn_jax.errors import UserError
from gcn_jax.evaluation.crf_search import DEEPLAB_V2_GRID, SearchResult, make_grid, search
from gcn_jax.evaluation.metrics import check_labels
from gcn_jax.inference import Predictor
from gcn_jax.inference.crf.parameters import PRESETS

_CKPT = flags.DEFINE_string("ckpt", None, "Workdir of a training run.", required=True)
_SPLIT = flags.DEFINE_string("split", None, "Split to search on; by default the run's own.")
_STEP = flags.DEFINE_string("step", "best", "Checkpoint: best, last, or the number of a step.")
_NUM_IMAGES = flags.DEFINE_integer("num_images", 20, "Images of the split.", lower_bound=1)
_ITERATIONS = flags.DEFINE_integer("iterations", 10, "Mean-field iterations.", lower_bound=1)
_TOP = flags.DEFINE_integer("top", 10, "Settings to print.", lower_bound=1)
_BASE = PRESETS["deeplab_v1"]
_VALUES = {
    name: flags.DEFINE_list(
        name,
        [f"{value:g}" for value in DEEPLAB_V2_GRID.get(name, (getattr(_BASE, name),))],
        f"Values of {name} to try.",
    )
    for name in (
        "gaussian_sxy",
        "gaussian_weight",
        "bilateral_sxy",
        "bilateral_srgb",
        "bilateral_weight",
    )
}
_INFERENCE = define_inference_flags()
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Prepared data; by default where the run had it.")
_MANUAL_DIR = flags.DEFINE_string("manual_dir", None, "Folder of the data; by default the run's.")


def main(argv: Sequence[str]) -> None:
    """Search, and print the best settings."""
    if argv[1:] != ["search"]:
        raise UserError("usage: python -m gcn_jax.evaluation.crf search --ckpt DIR [--split val]")
    grid = make_grid({"iterations": [_ITERATIONS.value], **_values()})
    inference = _INFERENCE()
    if inference.crf is not None:
        raise UserError("--crf is what search looks for; give values to try: --gaussian_sxy=1,3")
    source = report.open_split(_CKPT.value, _SPLIT.value, _DATA_DIR.value, _MANUAL_DIR.value)
    if not source.is_labelled:
        raise UserError(f"{source.name} has no labels to search with")
    # Spread over the split: neighbours in it are often of one scene.
    count = min(_NUM_IMAGES.value, len(source))
    chosen = [source[i * len(source) // count] for i in range(count)]
    model, variables, info, _ = models.load_pretrained(_CKPT.value, step=_STEP.value)
    predictor = Predictor(model, variables, info, inference=inference)
    with report.progress_bar(source.name) as progress:
        results = search(_samples(predictor, chosen, progress), grid)
    Console().print(_table(results[: _TOP.value], f"{count} images of {source.name}"))
    without = next(result for result in results if result.parameters is None)
    print(f"without a CRF: mIoU {100 * without.scores.miou:.2f}")
    if results[0].parameters is not None:
        best = dataclasses.astuple(results[0].parameters)
        print(f"best: --crf={','.join(f'{value:g}' for value in best)}")


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
        probabilities = mesh.to_host(predictor.probabilities(batch.images, batch.sizes))
        for _, sample, own in batch.cut(probabilities):
            where = f"label of image {sample['id']!r}"
            check_labels(sample["label"], own.shape[-1], where=where)
            yield own, sample["image"], sample["label"]
            progress(next(done), len(samples))


def _table(results: Sequence[SearchResult], title: str) -> Table:
    table = Table(*_VALUES, "mIoU, %", "pixel accuracy, %", title=title)
    for parameters, scores in results:
        values = ["no CRF"] + ["-"] * (len(_VALUES) - 1)
        if parameters is not None:
            values = [f"{getattr(parameters, name):g}" for name in _VALUES]
        table.add_row(*values, f"{100 * scores.miou:.2f}", f"{100 * scores.pixel_accuracy:.2f}")
    return table


if __name__ == "__main__":
    process.run(main)
