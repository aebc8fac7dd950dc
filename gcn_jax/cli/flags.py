"""The flags that several verbs have, and words such as KEY=VALUE that they are given."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from absl import flags

from gcn_jax.errors import UserError


def define_run_flags(values: flags.FlagValues) -> None:
    """Define the flags that name a run, its checkpoint and its data.

    Args:
        values: The flags of a verb.
    """
    flags.DEFINE_string(
        "ckpt", None, "Workdir of a training run.", required=True, flag_values=values
    )
    flags.DEFINE_string(
        "split",
        None,
        "Split, or DATASET:SPLIT of another data set; by default the run's own.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "step", "best", "Checkpoint: best, last, or the number of a step.", flag_values=values
    )
    flags.DEFINE_string(
        "data_dir", None, "Prepared data; by default where the run had it.", flag_values=values
    )
    flags.DEFINE_string(
        "manual_dir",
        None,
        "Folder of the data or of its archives; by default the run's; none for what is prepared.",
        flag_values=values,
    )


def settings_of(values: flags.FlagValues) -> dict[str, Any]:
    """Return the flags that a result depends on, with their values, for its file.

    Args:
        values: The flags of a verb.
    """
    settings = values.flag_values_dict()
    return {name: value for name, value in settings.items() if name != "compilation_cache"}


def define_data_flags(values: flags.FlagValues) -> Callable[[], dict[str, Any]]:
    """Define the flags that say where a data set is, and which.

    Args:
        values: The flags of a verb.

    Returns:
        A function that returns, once they are parsed, those that were given: as the `data` section
        of a config has them.
    """

    def text(name: str, meaning: str) -> flags.FlagHolder:
        return flags.DEFINE_string(name, None, meaning, flag_values=values)

    def number(name: str, default: int | None, meaning: str) -> flags.FlagHolder:
        return flags.DEFINE_integer(name, default, meaning, flag_values=values)

    holders = (
        text("data_dir", "Where prepared data sets are kept."),
        text("manual_dir", "The folder that holds the data already, or its archives."),
        text("mask_suffix", "The end of masks' names that images lack, such as _mask."),
        flags.DEFINE_bool(
            "reduce_zero_label",
            False,
            "In masks 0 is void, and 1 the first class.",
            flag_values=values,
        ),
        flags.DEFINE(
            _Labels(),
            "void_labels",
            (),
            "Values of masks that are void like 255, such as 11 or 0,11.",
            flag_values=values,
        ),
        number("bit_depth", None, "Bits that images use whose files have 16, such as 12."),
        number("channels", 3, "How many channels images have that are not RGB."),
        number("coco_year", 2014, "Which coco_voc: 2014 or 2017."),
        number(
            "coco_min_area", 0, "Leave out images of coco_voc with fewer pixels of VOC's classes."
        ),
    )
    return lambda: {holder.name: holder.value for holder in holders if holder.present}


class _Labels(flags.ArgumentParser):
    """Whole numbers with commas between them, with brackets as a config has them, or without."""

    syntactic_help = "whole numbers with commas between them"

    def parse(self, argument: str | tuple[int, ...]) -> tuple[int, ...]:
        if isinstance(argument, tuple):
            return argument
        try:
            return tuple(int(part) for part in argument.strip("()[] ").split(",") if part.strip())
        except ValueError:
            raise ValueError(f"{argument!r} is not {self.syntactic_help}, such as 0,11") from None


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
    from gcn_jax.analysis.studies.recipes import read_value  # not sooner: --help needs no JAX

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
