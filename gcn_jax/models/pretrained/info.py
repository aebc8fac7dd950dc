"""`model.json`: everything about a trained model but its weights."""

import dataclasses
from pathlib import Path
from typing import Any

from gcn_jax.errors import UserError
from gcn_jax.hub import hub_file, is_on_hub
from gcn_jax.workdir import Workdir, read_object, write_object

#: What float32 can hold; NaN is not below it.
_LARGEST = 3e38


@dataclasses.dataclass(frozen=True)
class ModelInfo:
    """The description of a trained model: everything but its weights, as in `model.json`.

    Attributes:
        name: Its name for `create_model`.
        fields: The other arguments of `create_model`, `num_classes` among them.
        class_names: The names of the classes 0..C-1.
        palette: (red, green, blue) of each class, 0..255.
        mean: What is subtracted from an image, RGB in 0..255; of another number of channels (the
            field `in_channels`) each one's.
        std: By what it is divided then.
        bit_depth: How many bits images use whose files have 16; None for all.
    """

    name: str
    fields: dict[str, Any]
    class_names: tuple[str, ...]
    palette: tuple[tuple[int, int, int], ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    bit_depth: int | None = None

    @property
    def channels(self) -> int:
        """How many channels images have."""
        return len(self.mean)

    @property
    def image_dtype(self) -> str:
        """The type in which all levels of its images are kept: "uint8" or "uint16".

        Of RGB the upper 8 bits are.
        """
        return "uint8" if self.channels == 3 or self.bit_depth is None else "uint16"


def read_info(workdir: str | Path) -> ModelInfo:
    """Read `model.json` of a workdir, or of "hf://owner/name" on the Hugging Face hub.

    Args:
        workdir: The folder or the address.

    Raises:
        UserError: There is none, or a value in it makes no sense; the message names file and key.
    """
    if is_on_hub(workdir):
        path = hub_file(str(workdir), Workdir("").model_file.name)
        return _checked(read_object(path), path)
    folder = Workdir(workdir)
    return _checked(folder.read_model(), folder.model_file)


def write_info(workdir: str | Path, info: ModelInfo) -> None:
    """Write `model.json` into a workdir.

    Args:
        workdir: The folder.
        info: What it holds then.
    """
    write_object(Workdir(workdir).model_file, dataclasses.asdict(info))


def _checked(values: Any, path: Path) -> ModelInfo:
    """Return the description in a JSON object; raise `UserError` where it makes no sense."""

    def check(holds: bool, key: str, wanted: str) -> None:
        if not holds:
            raise UserError(f"{path} is damaged: {key} is {values.get(key)!r:.80}, not {wanted}")

    name, fields, names, palette = (
        values.get(key) for key in ("name", "fields", "class_names", "palette")
    )
    check(isinstance(name, str), "name", "the name of a network")
    check(isinstance(fields, dict), "fields", "a JSON object")
    check(
        _is_list(names, str) and all(names) and len(set(names)) == len(names),
        "class_names",
        "a list of different names",
    )
    count = fields.get("num_classes")
    check(
        type(count) is int and count == len(names),
        "class_names",
        f"a name for each of {count} classes",
    )
    check(
        isinstance(palette, list)
        and len(palette) == count
        and all(_is_list(color, int) and len(color) == 3 for color in palette)
        and all(0 <= value <= 255 for color in palette for value in color),
        "palette",
        f"{count} colours of three numbers in 0..255",
    )
    channels = fields.get("in_channels", 3)
    for key in ("mean", "std"):
        numbers = values.get(key)
        check(
            _is_list(numbers, (int, float))
            and len(numbers) == channels
            and all(abs(number) < _LARGEST for number in numbers)
            and (key == "mean" or min(numbers) > 0),
            key,
            f"{'three' if channels == 3 else channels} finite numbers"
            + (" above 0" if key == "std" else ""),
        )
    depth = values.get("bit_depth")
    check(depth is None or (type(depth) is int and 8 <= depth <= 16), "bit_depth", "8..16, or null")
    return ModelInfo(
        name=name,
        fields=fields,
        class_names=tuple(names),
        palette=tuple(tuple(color) for color in palette),
        mean=tuple(values["mean"]),
        std=tuple(values["std"]),
        bit_depth=depth,
    )


def _is_list(value: Any, kind: type | tuple[type, ...]) -> bool:
    return isinstance(value, list) and all(
        isinstance(one, kind) and not isinstance(one, bool) for one in value
    )
