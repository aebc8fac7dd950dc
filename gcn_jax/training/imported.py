"""Published networks as workdirs, of which everything is possible that is with a run's."""

import operator
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import jax.numpy as jnp

from gcn_jax import atomic
from gcn_jax.data.builders.class_counts import data_set_with
from gcn_jax.data.classes import ClassTable, class_colors
from gcn_jax.errors import UserError
from gcn_jax.hub import is_on_hub
from gcn_jax.models.pretrained.info import ModelInfo, write_info
from gcn_jax.training.checkpoints import Checkpoints
from gcn_jax.training.config import default_config, model_settings
from gcn_jax.training.run import check_room
from gcn_jax.training.state import TrainState
from gcn_jax.weights.preparation import Preparation
from gcn_jax.weights.published.load import Published, load_published
from gcn_jax.workdir import Origin, Workdir

#: Labels are bytes, and 255 is void.
_MOST_CLASSES = 255


def import_network(
    source: str,
    workdir: str | Path,
    *,
    network: str | None = None,
    fields: Mapping[str, Any] = MappingProxyType({}),
    classes: ClassTable | None = None,
) -> tuple[ModelInfo, Origin]:
    """Convert a published network into a workdir with one checkpoint, of step 0.

    Its settings are the defaults, with the network and a validation set that has its classes. It
    has no state of an optimiser: a run starts from it by `init_from`, in another workdir.

    Args:
        source: A file, or an address on the Hugging Face hub, as for `load_published`.
        workdir: The folder, which must not hold a run.
        network: What the network must be, as for `load_published`; any if None.
        fields: Fields of the network, as for `load_published`.
        classes: The names of the classes; by default those of a `config.json` beside the file,
            without one those of the data set that published networks with so many classes are for,
            or else "class 0" and so on.

    Returns:
        What `model.json` and `source.json` hold.

    Raises:
        UserError: The workdir holds a run, the file cannot be read or is of no known network, or
            `classes` are fewer or more than the network has.
    """
    folder = Workdir(workdir)
    with folder.lock():
        unfinished = folder.origin_file.exists() and not folder.has_model
        if folder.has_model or (folder.newest_step() is not None and not unfinished):
            raise UserError(f"{workdir} holds a network already; name another --workdir")
        published = load_published(source, network, fields)
        info, data_set = _describe(published, classes, source)
        absolute = source if is_on_hub(source) else str(Path(source).expanduser().resolve())
        family = published.family
        origin = Origin(absolute, published.sha256, family.title, family.licence, family.homepage)
        state = TrainState(
            step=jnp.zeros((), jnp.int32),
            params=published.variables["params"],
            batch_stats=published.variables.get("batch_stats", {}),
            opt_state=(),
        )
        check_room(folder, state)
        if unfinished:  # what was read is as good as what is there, and complete
            shutil.rmtree(folder.checkpoints, ignore_errors=True)
        folder.write_origin(origin)
        config = _config(info, data_set, published.preparation)
        atomic.write(folder.config_file, config.to_json(indent=2))
        with Checkpoints(workdir) as checkpoints:
            checkpoints.save(0, state, {})
        write_info(workdir, info)  # last: once it is there, the folder is a workdir
    return info, origin


def _describe(
    published: Published, classes: ClassTable | None, source: str
) -> tuple[ModelInfo, str]:
    """Return the description of the network, and the data set that has its classes."""
    name, fields = published.identity
    count = fields["num_classes"]
    if not 1 < count <= _MOST_CLASSES:
        raise UserError(f"{source} has {count} classes; 2 to {_MOST_CLASSES} can be had")
    data_set = "folder"
    if classes is None:
        known, names = data_set_with(count), published.class_names
        if known and (names is None or _are_alike(names, known[1].names)):
            data_set, classes = known
        else:
            classes = ClassTable(names or tuple(f"class {i}" for i in range(count)))
    elif len(classes.names) != count:
        raise UserError(f"{source} has {count} classes, and {len(classes.names)} are named")
    prepared = published.preparation or published.family
    info = ModelInfo(
        name=name,
        fields=fields,
        class_names=classes.names,
        palette=class_colors(classes.palette, count),
        mean=prepared.mean,
        std=prepared.std,
    )
    return info, data_set


def _are_alike(names: Sequence[str], others: Sequence[str]) -> bool:
    """Whether most names are the same but for case, "_", and what is behind a comma."""
    left, right = (
        [re.split("[,;]", name)[0].strip().lower().replace("_", " ") for name in list_]
        for list_ in (names, others)
    )
    return 2 * sum(map(operator.eq, left, right)) > len(left)


def _config(info: ModelInfo, data_set: str, preparation: Preparation | None):
    """Return the default settings with a network, its data and the size of its crops."""
    config = default_config()
    config.model = model_settings(info.name)
    config.model.update({key: value for key, value in info.fields.items() if key in config.model})
    config.data.train = (f"{data_set}:train",)
    config.data.val = f"{data_set}:val"
    config.data.mean, config.data.std = info.mean, info.std
    if preparation and preparation.size:
        config.augment.crop_size = preparation.size
    return config
