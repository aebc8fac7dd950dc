"""The flags by which `evaluate.py` and `predict.py` are told how to predict."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from absl import flags

from gcn_jax.errors import UserError
from gcn_jax.inference.crf import PRESETS, crf_parameters
from gcn_jax.inference.predictor import ONE_RUN, Inference

_Number = TypeVar("_Number", int, float)


def define_inference_flags() -> Callable[[], Inference]:
    """Define `--scales`, `--flip`, `--window`, `--overlap` and `--crf`.

    Returns:
        A function that reads them, once they are parsed; it raises `UserError` where a value makes
        no sense.
    """
    scales = flags.DEFINE_list(
        "scales", [str(scale) for scale in ONE_RUN.scales], "Factors of the image's size, averaged."
    )
    flip = flags.DEFINE_bool("flip", ONE_RUN.flip, "Average with the mirrored image.")
    window = flags.DEFINE_list(
        "window", [], "Slide windows of so many pixels over the image: SIZE, or HEIGHT,WIDTH."
    )
    overlap = flags.DEFINE_float(
        "overlap", ONE_RUN.overlap, "Least share of a window that its neighbour covers too."
    )

    crf = flags.DEFINE_string(
        "crf",
        None,
        f"Refine by a dense CRF: {', '.join(PRESETS)}, or GAUSSIAN_SXY,GAUSSIAN_WEIGHT,"
        "BILATERAL_SXY,BILATERAL_SRGB,BILATERAL_WEIGHT[,ITERATIONS].",
    )

    def read() -> Inference:
        size = _numbers("window", window.value, int)
        return Inference(
            scales=_numbers("scales", scales.value, float),
            flip=flip.value,
            window=size[0] if len(size) == 1 else size or None,
            overlap=overlap.value,
            crf=None if crf.value is None else crf_parameters(crf.value),
        )

    return read


def _numbers(name: str, words: Sequence[str], kind: type[_Number]) -> tuple[_Number, ...]:
    try:
        return tuple(kind(word) for word in words)
    except ValueError:
        wanted = "whole numbers" if kind is int else "numbers"
        raise UserError(f"--{name}={','.join(words)}: give {wanted}, with commas between") from None
