"""The flags by which several verbs are told how to predict."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from absl import flags

from gcn_jax.errors import UserError
from gcn_jax.inference.crf import PRESETS, crf_parameters
from gcn_jax.inference.protocols import PROTOCOLS, find_protocol
from gcn_jax.inference.settings import ONE_RUN, Inference

_Number = TypeVar("_Number", int, float)


def define_inference_flags(values: flags.FlagValues) -> Callable[[], Inference]:
    """Define `--protocol`, and `--scales`, `--flip`, `--window`, `--overlap` and `--crf`.

    Args:
        values: The flags of a verb.

    Returns:
        A function that reads them, once they are parsed, and raises `UserError` where a value makes
        no sense.
    """
    protocol = flags.DEFINE_string(
        "protocol",
        None,
        f"As a score was published, with no other flag of these: {', '.join(PROTOCOLS)}.",
        flag_values=values,
    )
    scales = flags.DEFINE_list(
        "scales",
        [str(scale) for scale in ONE_RUN.scales],
        "Factors of the image's size, averaged.",
        flag_values=values,
    )
    flip = flags.DEFINE_bool(
        "flip", ONE_RUN.flip, "Average with the mirrored image.", flag_values=values
    )
    window = flags.DEFINE_list(
        "window",
        [],
        "Slide windows of so many pixels over the image: SIZE, or HEIGHT,WIDTH.",
        flag_values=values,
    )
    overlap = flags.DEFINE_float(
        "overlap",
        ONE_RUN.overlap,
        "Least share of a window that its neighbour covers too.",
        flag_values=values,
    )
    crf = flags.DEFINE_string(
        "crf",
        None,
        f"Refine by a dense CRF: {', '.join(PRESETS)}, or its parameters with commas between: "
        "gaussian_sxy, gaussian_weight, bilateral_sxy, bilateral_srgb, bilateral_weight, and "
        "perhaps iterations.",
        flag_values=values,
    )

    def read() -> Inference:
        if protocol.value is not None:
            others = [flag.name for flag in (scales, flip, window, overlap, crf) if flag.present]
            if others:  # a score that is called by a protocol's name is by that protocol
                raise UserError(
                    f"--protocol={protocol.value} says all of it; leave out --{others[0]}, or "
                    "name --scales, --flip, --window, --overlap and --crf instead of a protocol"
                )
            return find_protocol(protocol.value)
        size = _numbers("window", window.value, int)
        if len(size) > 2:
            raise UserError(f"--window={','.join(window.value)}: give SIZE, or HEIGHT,WIDTH")
        return Inference(
            scales=_numbers("scales", scales.value, float),
            flip=flip.value,
            window=size[0] if len(size) == 1 else (size[0], size[1]) if size else None,
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
