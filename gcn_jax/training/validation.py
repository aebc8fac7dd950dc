"""The validation of a run: scores of a state, and for how long they have not become better."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from gcn_jax import evaluation, inference, mesh
from gcn_jax.evaluation.counted import counted_classes
from gcn_jax.evaluation.metrics import SCORES
from gcn_jax.models.pretrained.restore import Pretrained
from gcn_jax.models.pretrained.steps import BEST_METRIC
from gcn_jax.training.features import FeaturesPredictor
from gcn_jax.training.metrics_log import COUNTED_METRIC, TRAIN_METRIC
from gcn_jax.training.run import Run
from gcn_jax.training.state import TrainState


def validate(run: Run, state: TrainState, step: int) -> tuple[dict[str, float], str]:
    """Score a state on the validation data of its run, and on some of the training images.

    Args:
        run: The run.
        state: Its state.
        step: The number of the step that it is after.

    Returns:
        The scores by their names in `metrics.jsonl`, and a line that says them.
    """
    trained = Pretrained(run.parts.model, state.variables, run.info, step)
    make: Callable[..., inference.Predictor] = inference.Predictor
    if run.features is not None:
        make = partial(FeaturesPredictor, run.features)
    devices = mesh.data_mesh(run.device_mesh.devices.flat)  # large images are cut into windows
    predictor = make(trained, batch_size=run.config.eval_batch_size, mesh=devices)
    scores = evaluation.evaluate(predictor, run.val).scores
    counted = counted_classes(
        scores.num_classes_counted, run.info.class_names, scores.confusion_matrix, run.val.name
    )
    metrics = {BEST_METRIC: scores.miou, COUNTED_METRIC: scores.num_classes_counted}
    metrics |= {f"val/{score.key}": score.of(scores) for score in SCORES if score.logged}
    said = f"step {step}: val mIoU {scores.miou:.4f} {counted}"
    if count := min(run.config.eval_train_images, len(run.train)):
        metrics[TRAIN_METRIC] = evaluation.evaluate(
            predictor, _Spread(run.train, count)
        ).scores.miou
        said += f", train mIoU {metrics[TRAIN_METRIC]:.4f}"
    return metrics, said


class _Spread:
    """Examples of a source at equal distances, the same ones each time."""

    def __init__(self, source: Any, count: int):
        self._source, self._count = source, count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self._source[index * len(self._source) // self._count]


def evaluations_without_progress(mious: Sequence[float]) -> int:
    """Return how many evaluations came after the first best one.

    Args:
        mious: Their scores, in their order; one that is None or NaN is no progress.
    """
    best, since = -math.inf, 0
    for miou in mious:
        better = miou is not None and miou > best
        best, since = (miou, 0) if better else (best, since + 1)
    return since
