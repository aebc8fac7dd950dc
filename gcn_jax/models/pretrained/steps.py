"""The steps in a folder of checkpoints: their scores, which is the best, which can be read."""

import json
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from gcn_jax import atomic
from gcn_jax.models.pretrained.digests import digest_of_json
from gcn_jax.models.pretrained.event_loop import tasks_end

_T = TypeVar("_T")

#: The score by which one checkpoint is better than another.
BEST_METRIC = "val/miou"
#: The key of the digest among the scores of a step.
_DIGEST = "digest"


def best_step(scores: Mapping[int, Mapping[str, float] | None]) -> int | None:
    """Return the step with the best validation mIoU, the newer of two that are equal.

    NaN, where all of the validation set is void, is worse than any score.

    Args:
        scores: The scores of each step, None where it was not validated.

    Returns:
        The step, or None where none was validated.
    """
    known = {step: one[BEST_METRIC] for step, one in scores.items() if one is not None}
    return max(known, key=lambda step: (_or_least(known[step]), step), default=None)


def _or_least(score: float) -> float:
    return -math.inf if math.isnan(score) else score


def read_scores(folder: Path, step: int) -> dict[str, float] | None:
    """Read the validation scores of a step.

    Args:
        folder: The folder `checkpoints/`.
        step: The number of the step.

    Returns:
        The scores by their names, `BEST_METRIC` among them.
        None where there are none, or, with a warning, where they are damaged.
    """
    path = _scores_file(folder, step)
    try:
        scores = json.loads(path.read_text())
        digest = scores.pop(_DIGEST, None)  # older versions wrote none
        damaged = digest is not None and digest != digest_of_json(scores)
        if damaged or not all(isinstance(score, int | float) for score in scores.values()):
            raise ValueError("its digest differs")
        scores[BEST_METRIC]
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        warnings.warn(f"{path} is damaged ({error}): step {step} has no scores", stacklevel=2)
        return None
    return scores


def write_scores(folder: Path, step: int, scores: Mapping[str, float]) -> None:
    """Write the validation scores of a step beside what it holds already.

    Args:
        folder: The folder `checkpoints/`.
        step: The number of the step.
        scores: The scores by their names.
    """
    content = {**scores, _DIGEST: digest_of_json(dict(scores))}
    atomic.write(_scores_file(folder, step), json.dumps(content))


def _scores_file(folder: Path, step: int) -> Path:
    return folder / str(step) / "metrics" / "metrics"  # where Orbax has them


def first_readable(
    steps: Sequence[int], restore: Callable[[int], _T], folder: str
) -> tuple[int, _T] | None:
    """Restore the first checkpoint that can be; warn of each that cannot.

    Args:
        steps: The steps to try, in this order.
        restore: Restores one of them, or raises.
        folder: What to call their folder in a warning.

    Returns:
        The step and what was restored; None if there is none.
    """
    for step in steps:
        try:
            with tasks_end():
                return step, restore(step)
        except (MemoryError, PermissionError):
            raise  # the checkpoint is not at fault
        except Exception as error:  # what a damaged file makes Orbax raise is not documented
            warnings.warn(f"{folder}/{step} cannot be read ({why(error)})", stacklevel=2)
    return None


def why(error: Exception) -> str:
    """Return the first line of an error's message, or what kind of error it is."""
    return (str(error).strip().splitlines() or [repr(error)])[0][:200]
