"""`model.json`: everything about a trained model but its weights."""

import dataclasses
import json
from pathlib import Path
from typing import Any

from gcn_jax import atomic
from gcn_jax.errors import UserError
from gcn_jax.hub import hub_file, is_on_hub


@dataclasses.dataclass(frozen=True)
class ModelInfo:
    """What `model.json` holds: everything about a trained model but its weights.

    Attributes:
        name: Its name for `create_model`.
        fields: The other arguments of `create_model`, `num_classes` among them.
        class_names: The names of the classes 0..C-1.
        palette: (red, green, blue) of each class, 0..255.
        mean: What is subtracted from an image, RGB in 0..255.
        std: By what it is divided then.
    """

    name: str
    fields: dict[str, Any]
    class_names: tuple[str, ...]
    palette: tuple[tuple[int, int, int], ...]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


def read_info(workdir: str | Path) -> ModelInfo:
    """Read `model.json` of a workdir, or of "hf://owner/name" on the Hugging Face hub.

    Raises:
        UserError: There is none, or it is not one.
    """
    name = "model.json"
    path = hub_file(workdir, name) if is_on_hub(workdir) else Path(workdir) / name
    try:
        values = json.loads(path.read_text())
        return ModelInfo(
            name=values["name"],
            fields=values["fields"],
            class_names=tuple(values["class_names"]),
            palette=tuple(tuple(color) for color in values["palette"]),
            mean=tuple(values["mean"]),
            std=tuple(values["std"]),
        )
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(
            f"{workdir} is not the workdir of a training run: it has no model.json (a workdir is "
            "what train.py writes, by default runs/<config name>)"
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} is damaged ({error!r})") from None


def write_info(workdir: str | Path, info: ModelInfo) -> None:
    """Write `model.json` into a workdir."""
    atomic.write(Path(workdir) / "model.json", json.dumps(dataclasses.asdict(info), indent=2))
