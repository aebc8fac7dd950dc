"""The score of a scene's layout alone: the most frequent class at each position.

    python -m benchmarks.pixel_prior --train camvid:train --val camvid:val [--manual_dir FOLDER]

Counts the labels of the training split on a grid over the image, predicts the most frequent class
of each cell for every validation image, and prints the scores. A network that does not clearly beat
them has learned where things are, not what they look like.
"""

import json

import jax
import numpy as np
from absl import flags

from gcn_jax import IGNORE_LABEL, data
from gcn_jax.cli import process
from gcn_jax.evaluation import Scores, confusion_matrix

_TRAIN = flags.DEFINE_string("train", "camvid:train", "What to count.")
_VAL = flags.DEFINE_string("val", "camvid:val", "What to score.")
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Where prepared data sets are kept.")
_MANUAL_DIR = flags.DEFINE_string("manual_dir", None, "The folder that holds the data already.")

#: Cells of the grid, vertically and horizontally.
_GRID = (90, 120)


def main(argv):
    """Count, predict, score, print."""
    del argv
    options = {"data_dir": _DATA_DIR.value, "manual_dir": _MANUAL_DIR.value}
    train, val = (data.open_split(spec, options) for spec in (_TRAIN.value, _VAL.value))
    num_classes = len(train.class_names)
    counts = np.zeros((*_GRID, num_classes), np.int64)
    for example in train:
        label = example["label"]
        rows, columns = _cells(label.shape)
        valid = label != IGNORE_LABEL
        index = (np.broadcast_to(rows, label.shape), np.broadcast_to(columns, label.shape))
        np.add.at(counts, (index[0][valid], index[1][valid], label[valid]), 1)
    prior = counts.argmax(axis=-1)

    count = jax.jit(confusion_matrix, static_argnames="num_classes")
    total = np.zeros((num_classes, num_classes), np.int64)
    for example in val:
        label = example["label"]
        total += np.asarray(count(label, prior[_cells(label.shape)], num_classes=num_classes))
    scores = Scores(total).to_json(train.class_names)
    print(json.dumps({key: scores[key] for key in scores if key != "confusion_matrix"}, indent=2))


def _cells(shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """The grid's cell of each row and of each column of an image."""
    height, width = shape
    rows = np.arange(height) * _GRID[0] // height
    columns = np.arange(width) * _GRID[1] // width
    return rows[:, None], columns[None, :]


if __name__ == "__main__":
    process.run_script(main)
