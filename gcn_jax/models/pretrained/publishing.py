"""Trained models on the Hugging Face hub, with a model card."""

import dataclasses
import json
import tempfile
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import traverse_util

from gcn_jax.errors import UserError
from gcn_jax.hub import HUB, first_line, is_on_hub
from gcn_jax.models.pretrained.digests import PUBLISHED_DIGESTS, digests_of
from gcn_jax.models.pretrained.info import ModelInfo
from gcn_jax.models.pretrained.restore import Pretrained, load_pretrained
from gcn_jax.workdir import Origin, Workdir

#: Settings of a run that are paths on the machine that ran it.
_PATHS = ("data.data_dir", "data.manual_dir", "init_from", "backbone_weights")

_CARD = """\
---
library_name: gcn_jax
pipeline_tag: image-segmentation
tags:
- semantic-segmentation
- jax
---

# {repo_id}

`{name}`, {made} to tell {num_classes} classes apart: {classes}.

```python
from gcn_jax import models

model, variables = models.from_pretrained("hf://{repo_id}")
labels = models.predict(model, variables, image)  # {image} -> int32 [H, W]
```

## Scores

Of step {step}, on {validation}:

{scores}

## Preprocessing

`predict` does it: (image - mean) / std, in 0..255, with mean {mean} and std {std}.

## Settings

```json
{config}
```
"""


def push_to_hub(
    workdir: str | Path, repo_id: str, *, step: int | str = "best", private: bool = False
) -> str:
    """Put a trained model on the Hugging Face hub, where `from_pretrained` finds it.

    Log in first, by `hf auth login` or the variable HF_TOKEN. The settings of the run are
    published, without the folders of this machine.

    Example:
        >>> push_to_hub("runs/camvid", "me/gcn-camvid")
        >>> model, variables = from_pretrained("hf://me/gcn-camvid")

    Args:
        workdir: A folder that `train.py` wrote.
        repo_id: "owner/name"; the repository is made if it is not there.
        step: Which checkpoint, as for `load_pretrained`.
        private: Whether a repository that is made is private.

    Returns:
        "hf://owner/name".

    Raises:
        UserError: There is no such checkpoint, or the hub refuses.
    """
    import huggingface_hub  # here: most sessions need no network

    workdir = Path(workdir)
    pretrained = load_pretrained(workdir, step=step)
    api = huggingface_hub.HfApi()
    with tempfile.TemporaryDirectory() as folder:
        write_repository(Path(folder), workdir, repo_id, pretrained)
        try:
            api.create_repo(repo_id, private=private, exist_ok=True)
            api.upload_folder(
                repo_id=repo_id,
                folder_path=folder,
                commit_message=f"Step {pretrained.step} of a run of gcn_jax",
            )
        except Exception as error:  # the hub's own, or those of the HTTP client it is made with
            raise UserError(f"{repo_id} cannot be pushed: {first_line(error)}") from error
    return f"{HUB}{repo_id}"


def write_repository(folder: Path, workdir: Path, repo_id: str, pretrained: Pretrained) -> None:
    """Write the files of a repository.

    They are `model.json`, `model.safetensors` (leaves of the variables, by paths such as
    "params/gcn5/left_k1/kernel") with its `digests.json`, `scores.json`, `training.json`
    (settings), `README.md` and, of an imported network, `source.json`.

    Args:
        folder: Where to.
        workdir: What `train.py` wrote.
        repo_id: "owner/name".
        pretrained: The checkpoint, from `load_pretrained`.
    """
    import safetensors.numpy

    weights = {name: pretrained.variables[name] for name in ("params", "batch_stats")}
    arrays = traverse_util.flatten_dict(jax.device_get(weights), sep="/")
    arrays = {path: np.ascontiguousarray(array) for path, array in arrays.items()}
    safetensors.numpy.save_file(arrays, folder / "model.safetensors")
    (folder / PUBLISHED_DIGESTS).write_text(json.dumps(digests_of(weights), indent=2))
    model_file = Workdir(workdir).model_file
    (folder / model_file.name).write_bytes(model_file.read_bytes())
    origin = Workdir(workdir).read_origin()
    if origin:
        if not is_on_hub(origin.source):
            origin = dataclasses.replace(origin, source=Path(origin.source).name)
        Workdir(folder).write_origin(origin)
    scores = _scores(workdir, pretrained.step)
    config = _public_config(workdir)
    card = _card(repo_id, pretrained.info, scores, config, origin)
    (folder / "scores.json").write_text(json.dumps(scores, indent=2))
    (folder / "training.json").write_text(json.dumps(config, indent=2))
    (folder / "README.md").write_text(card)


def _card(
    repo_id: str,
    info: ModelInfo,
    scores: dict[str, float],
    config: dict[str, Any],
    origin: Origin | None,
) -> str:
    measured = [f"| {name} | {value:.4f} |" for name, value in scores.items() if name != "step"]
    table = "\n".join(["| score | value |", "| --- | --- |", *measured])
    made = "trained by gcn_jax"
    if origin:
        made = f"imported by gcn_jax from {origin.source}, a file of {origin.family} "
        made += f"({origin.homepage}; licence: {origin.licence}),"
    return _CARD.format(
        repo_id=repo_id,
        name=info.name,
        made=made,
        num_classes=len(info.class_names),
        classes=", ".join(info.class_names),
        step=scores["step"],
        validation=config["data"]["val"],
        scores=table if measured else "It was not validated.",
        image=(
            "uint8 [H, W, 3] RGB"
            if info.channels == 3
            else f"{info.image_dtype} [H, W, {info.channels}]"
        ),
        mean=info.mean,
        std=info.std,
        config=json.dumps(config, indent=2),
    )


def _scores(workdir: Path, step: int) -> dict[str, float]:
    """Return a step, and what `metrics.jsonl` says about its validation."""
    scores: dict[str, float] = {"step": step}
    for record in Workdir(workdir).read_metrics():
        if record["step"] == step:
            scores |= {name: value for name, value in record.items() if name.startswith("val/")}
    return scores


def _public_config(workdir: Path) -> dict[str, Any]:
    """Read the settings of a run; of paths on this machine keep the last part."""
    config = Workdir(workdir).read_config()
    leaves = traverse_util.flatten_dict(config, sep=".")
    for key in _PATHS:
        value = leaves.get(key)
        if isinstance(value, str) and not value.startswith(HUB):
            leaves[key] = Path(value).name
    return traverse_util.unflatten_dict(leaves, sep=".")
