"""The flags that several verbs have, and words such as KEY=VALUE that they are given."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from absl import flags

from gcn_jax.analysis.studies.recipes import read_value
from gcn_jax.errors import UserError
from gcn_jax.inference.crf import PRESETS, crf_parameters
from gcn_jax.inference.predictor import ONE_RUN, Inference

_Number = TypeVar("_Number", int, float)


def define_inference_flags(values: flags.FlagValues) -> Callable[[], Inference]:
    """Define `--scales`, `--flip`, `--window`, `--overlap` and `--crf`.

    Args:
        values: The flags of a verb.

    Returns:
        A function that reads them, once they are parsed, and raises `UserError` where a value makes
        no sense.
    """
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
        f"Refine by a dense CRF: {', '.join(PRESETS)}, or GAUSSIAN_SXY,GAUSSIAN_WEIGHT,"
        "BILATERAL_SXY,BILATERAL_SRGB,BILATERAL_WEIGHT[,ITERATIONS].",
        flag_values=values,
    )

    def read() -> Inference:
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


def define_run_flags(values: flags.FlagValues) -> None:
    """Define the flags that name a run, its checkpoint and its data.

    Args:
        values: The flags of a verb.
    """
    flags.DEFINE_string(
        "ckpt", None, "Workdir of a training run.", required=True, flag_values=values
    )
    flags.DEFINE_string("split", None, "Split; by default the run's own.", flag_values=values)
    flags.DEFINE_string(
        "step", "best", "Checkpoint: best, last, or the number of a step.", flag_values=values
    )
    flags.DEFINE_string(
        "data_dir", None, "Prepared data; by default where the run had it.", flag_values=values
    )
    flags.DEFINE_string(
        "manual_dir", None, "Folder of the data; by default the run's.", flag_values=values
    )


def define_data_flags(values: flags.FlagValues) -> Callable[[], dict[str, Any]]:
    """Define the flags that say where a data set is, and which.

    Args:
        values: The flags of a verb.

    Returns:
        A function that returns the `data` section of a config, once they are parsed.
    """
    holders = (
        flags.DEFINE_string(
            "data_dir", None, "Where prepared data sets are kept.", flag_values=values
        ),
        flags.DEFINE_string(
            "manual_dir", None, "The folder that holds the data already.", flag_values=values
        ),
        flags.DEFINE_enum(
            "coco_year", "2014", ["2014", "2017"], "Which coco_voc.", flag_values=values
        ),
        flags.DEFINE_integer(
            "coco_min_area",
            0,
            "Leave out images of coco_voc with fewer pixels of VOC's classes.",
            flag_values=values,
        ),
    )
    return lambda: {holder.name: holder.value for holder in holders}


def resolve_data_set(name: str, settings: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return a data set and its settings; a folder stands for the data set "folder".

    Args:
        name: The name of a data set, or the path of a folder of the user's.
        settings: The `data` section of a config.
    """
    from gcn_jax.data.builders.registry import BUILDERS

    if name not in BUILDERS and Path(name).is_dir():
        return "folder", {**settings, "manual_dir": name}
    return name, dict(settings)


def expect_arguments(arguments: Sequence[str], names: str, count: int) -> None:
    """Raise `UserError` unless a verb was given so many words that are no flags.

    Args:
        arguments: The words.
        names: What they stand for, such as "A.json B.json"; "" for none.
        count: How many there must be.
    """
    if len(arguments) > count:
        expected = f"only {names}" if names else "none"
        raise UserError(
            f"unexpected argument {arguments[count]!r}; expected {expected}; see --help"
        )
    if len(arguments) < count:
        raise UserError(f"this verb needs {names}; --help says more")


def key_and_value(flag: str, text: str) -> tuple[str, Any]:
    """Split KEY=VALUE and read the value.

    Args:
        flag: The flag that was given it, such as "--field".
        text: KEY=VALUE.

    Raises:
        UserError: There is no =.
    """
    key, equals, value = text.partition("=")
    if not equals:
        raise UserError(f"{flag}={text} is not KEY=VALUE, such as kernel_size=7")
    return key, read_value(value)


def run_names(paths: Sequence[str]) -> list[str]:
    """Call runs as their folders, with as many folders above as tell them apart.

    Args:
        paths: Their workdirs.

    Raises:
        UserError: Two are the same folder.
    """
    folders = [Path(path).resolve() for path in paths]
    for i, path in enumerate(paths):
        if folders[i] in folders[:i]:
            raise UserError(f"the run {path} is named twice; name each run once")
    depth = 1
    while len({folder.parts[-depth:] for folder in folders}) < len(folders):
        depth += 1
    return ["_".join(folder.parts[-depth:]) for folder in folders]


def _numbers(name: str, words: Sequence[str], kind: type[_Number]) -> tuple[_Number, ...]:
    try:
        return tuple(kind(word) for word in words)
    except ValueError:
        wanted = "whole numbers" if kind is int else "numbers"
        raise UserError(f"--{name}={','.join(words)}: give {wanted}, with commas between") from None
