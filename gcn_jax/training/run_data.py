"""The data of a run: what its config names, opened from its workdir."""

from pathlib import Path

from gcn_jax import data, models
from gcn_jax.errors import UserError
from gcn_jax.workdir import Workdir


def open_run_data(
    workdir: str | Path,
    split: str | None = None,
    data_dir: str | None = None,
    manual_dir: str | None = None,
) -> "data.Source":
    """Open the validation data of a run, or another split of the same data set.

    Args:
        workdir: A folder that `train.py` wrote.
        split: Such as "train", or "coco_voc:val" of another data set with the same classes; that
            of the config's `data.val` if None.
        data_dir: Where prepared data sets are kept; as in the config if None.
        manual_dir: The folder of the data; as in the config if None.

    Returns:
        The split, read by index.

    Raises:
        UserError: The split cannot be opened, or its classes are not those of the model.
    """
    class_names = models.read_info(workdir).class_names
    settings = Workdir(workdir).read_config()["data"]
    given = {"data_dir": data_dir, "manual_dir": manual_dir}
    settings |= {name: folder for name, folder in given.items() if folder}
    spec = settings["val"]
    if split is not None:
        spec = split if ":" in split else f"{spec.partition(':')[0]}:{split}"
    source = data.open_split(spec, settings)
    if tuple(source.class_names) != class_names:
        raise UserError(
            f"{spec} has the classes {', '.join(source.class_names)}, but the model of {workdir} "
            f"was trained for {', '.join(class_names)}"
        )
    return source
