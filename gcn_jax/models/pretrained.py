"""Trained models: a workdir in, a model with its weights and its preprocessing out.

A workdir holds `model.json`, which rebuilds the model and says how its input is prepared and what
its output means, and `checkpoints/<step>/`, written by Orbax. A repository on the Hugging Face hub
(see `publishing.py`) stands for a workdir with one checkpoint.
"""

import dataclasses
import functools
import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax import traverse_util

from gcn_jax import atomic
from gcn_jax.errors import UserError
from gcn_jax.models.hub import hub_file, is_on_hub
from gcn_jax.models.preprocessing import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    mean_color,
    normalize,
    stack_padded,
)
from gcn_jax.models.registry import create_model
from gcn_jax.models.weight_files import read_weights

_T = TypeVar("_T")

#: The score by which one checkpoint is better than another.
BEST_METRIC = "val/miou"


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


class Pretrained(NamedTuple):
    """A trained model and everything about it.

    Attributes:
        model: The network.
        variables: float32 `params` and `batch_stats` (the moving averages, where the run kept
            them), and `preprocessing` with `mean` and `std`, which `predict` uses and `model.apply`
            ignores. They lie on a device of this host.
        info: What `model.json` holds.
        step: The number of the checkpoint that was read.
    """

    model: nn.Module
    variables: dict[str, Any]
    info: ModelInfo
    step: int


def from_pretrained(
    workdir: str | Path, *, step: int | str = "best"
) -> tuple[nn.Module, dict[str, Any]]:
    """Rebuild a trained model with its weights: the first two fields of `load_pretrained`.

    Example:
        >>> model, variables = from_pretrained("runs/quickstart")
        >>> labels = predict(model, variables, image)
    """
    pretrained = load_pretrained(workdir, step=step)
    return pretrained.model, pretrained.variables


def load_pretrained(workdir: str | Path, *, step: int | str = "best") -> Pretrained:
    """Rebuild a trained model with its weights.

    A damaged checkpoint gives a warning, and the newest other one is read.

    Args:
        workdir: A folder that `train.py` wrote, or "hf://owner/name", where `push_to_hub` put the
            checkpoint of one.
        step: "best" (by validation mIoU; the last one where none was validated), "last", or the
            number of a step.

    Raises:
        UserError: The workdir has no such checkpoint, or none that can be read.
    """
    info = read_info(workdir)
    model = create_model(info.name, **info.fields)
    shapes = variable_shapes(model)
    read = _read_published if is_on_hub(workdir) else _read_checkpoint
    step, variables = read(workdir, step, shapes)
    preprocessing = {"mean": jnp.asarray(info.mean), "std": jnp.asarray(info.std)}
    return Pretrained(model, {**variables, "preprocessing": preprocessing}, info, step)


def predict(model: nn.Module, variables: dict[str, Any], image: np.ndarray) -> np.ndarray:
    """Segment one image, as it is in the file: nothing to normalise or resize.

    The image is padded to one of a few sizes, so that few sizes compile anew. For several scales,
    flips, windows or many images there is `gcn_jax.evaluation.Predictor`.

    Args:
        model: A model of this package.
        variables: Its variables; with those of `from_pretrained` the image is prepared as in
            training, with others by ImageNet's mean and standard deviation.
        image: uint8 `[H, W, 3]` RGB.

    Returns:
        int32 `[H, W]`, the class of each pixel.

    Raises:
        UserError: The image is not uint8 `[H, W, 3]`.
    """
    image = np.asarray(image)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise UserError(f"the image is {image.dtype} {image.shape}; it must be uint8 [H, W, 3] RGB")
    preprocessing = variables.get("preprocessing", {"mean": IMAGENET_MEAN, "std": IMAGENET_STD})
    mean, std = (np.asarray(preprocessing[key], np.float32) for key in ("mean", "std"))
    padded = stack_padded([image], 1, mean_color(mean))
    prediction = np.asarray(class_maps(model, variables, padded, mean, std))[0]
    return prediction[: image.shape[0], : image.shape[1]]


def logits(
    model: nn.Module, variables: Any, images: jax.Array, mean: jax.Array, std: jax.Array
) -> jax.Array:
    """Normalise images and run the model on them; pure and jit-able (`model` is static).

    Args:
        model: A module of `gcn_jax.models`, or any with the same call.
        variables: Its variables.
        images: uint8 [N, H, W, 3] RGB.
        mean: float32 [3], in 0..255.
        std: float32 [3], in 0..255.

    Returns:
        float32 [N, H, W, C].
    """
    return model.apply(variables, normalize(images, mean, std), train=False)


@functools.partial(jax.jit, static_argnames="model")
def class_maps(
    model: nn.Module, variables: Any, images: jax.Array, mean: jax.Array, std: jax.Array
) -> jax.Array:
    """Return the most likely class of each pixel, int32 [N, H, W]; arguments as of `logits`.

    Compiled once for each model and shape of images, whatever the variables.
    """
    return jnp.argmax(logits(model, variables, images, mean, std), axis=-1).astype(jnp.int32)


def variable_shapes(model: nn.Module) -> Any:
    """The shapes and dtypes of a model's variables, without making them."""
    images = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
    return jax.eval_shape(model.init, jax.random.key(0), images)


def best_score(metrics: Mapping[str, float]) -> float:
    """The score by which one checkpoint is better than another: validation mIoU.

    NaN, where all of the validation set is void, is worse than any score.
    """
    score = metrics[BEST_METRIC]
    return score if score == score else -1.0


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
            return step, restore(step)
        except (MemoryError, PermissionError):
            raise  # the checkpoint is not at fault
        except Exception as error:  # what a damaged file makes Orbax raise is not documented
            reason = (str(error).strip().splitlines() or [repr(error)])[0][:200]
            warnings.warn(f"{folder}/{step} cannot be read ({reason})", stacklevel=2)
    return None


def _read_checkpoint(workdir: str | Path, step: int | str, shapes: Any) -> tuple[int, dict]:
    """Read the variables of a checkpoint in a workdir; return its step too."""
    import orbax.checkpoint as ocp  # here, so that a notebook that builds a model starts fast

    folder = (Path(workdir) / "checkpoints").resolve()
    if not folder.is_dir():
        raise UserError(f"{workdir} has no checkpoint yet: {folder} does not exist")
    options = ocp.CheckpointManagerOptions(
        read_only=True, best_fn=best_score, best_mode="max", multiprocessing_options=_this_process()
    )
    handlers = {"state": ocp.PyTreeCheckpointHandler()}
    with ocp.CheckpointManager(folder, options=options, item_handlers=handlers) as manager:
        steps = _steps_to_try(manager, step, workdir)
        found = first_readable(
            steps, lambda step: _restore_variables(manager, step, shapes), str(folder)
        )
    if found is None:
        raise UserError(f"{folder}: none of the checkpoints {steps} can be read")
    return found


def _read_published(source: str, step: int | str, shapes: Any) -> tuple[int, dict]:
    """Read the variables that a repository on the hub holds; return their step too."""
    if step != "best":
        raise UserError(f"{source} holds one checkpoint: leave the step at best, not {step}")
    arrays = read_weights(hub_file(source, "model.safetensors"))
    expected = {
        path: leaf.shape for path, leaf in traverse_util.flatten_dict(shapes, sep="/").items()
    }
    if {path: array.shape for path, array in arrays.items()} != expected:
        raise UserError(f"{source}: its model.safetensors is not of the model in its model.json")
    variables = traverse_util.unflatten_dict(arrays, sep="/")
    published = json.loads(hub_file(source, "scores.json").read_text())["step"]
    return published, {"batch_stats": {}, **jax.tree.map(jnp.asarray, variables)}


def _steps_to_try(manager, step: int | str, workdir: str | Path) -> list[int]:
    steps = sorted(manager.all_steps(), reverse=True)
    if not steps:
        raise UserError(f"{workdir} has no checkpoint yet")
    if step == "last":
        return steps
    if step == "best":
        best = manager.best_step()
        return sorted(steps, key=lambda step: step != best)  # stable: then newest first
    if str(step) not in map(str, steps):
        raise UserError(
            f"{workdir} has no checkpoint of step {step}; it has {sorted(steps)}, best and last"
        )
    return [int(step)]


def _restore_variables(manager, step: int, shapes: Any) -> dict[str, Any]:
    """Restore the part of a training state that inference needs."""
    import orbax.checkpoint as ocp

    averaged = bool(manager.item_metadata(step)["state"].tree.get("ema"))
    device = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    target = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=device),
        {"params": shapes["params"], "batch_stats": shapes.get("batch_stats", {})},
    )
    if averaged:
        target = {"ema": target}
    args = ocp.args.PyTreeRestore(
        item=target,
        restore_args=ocp.checkpoint_utils.construct_restore_args(target),
        partial_restore=True,
    )
    restored = manager.restore(step, args=ocp.args.Composite(state=args))["state"]
    return restored["ema"] if averaged else restored


def _this_process():
    """Tell Orbax that this process reads alone, whatever the other hosts do."""
    import orbax.checkpoint as ocp

    if jax.process_count() == 1:
        return ocp.options.MultiprocessingOptions()
    index = jax.process_index()
    return ocp.options.MultiprocessingOptions(
        primary_host=index, active_processes={index}, barrier_sync_key_prefix=f"process_{index}"
    )
