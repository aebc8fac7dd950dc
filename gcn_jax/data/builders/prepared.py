"""Prepared copies of a data set, found by its name: no folder of the user's is needed for them."""

import os
from pathlib import Path

import tensorflow_datasets as tfds

from gcn_jax.errors import UserError, setting


def find_prepared(
    name: str, data_dir: str | None, version: tfds.core.Version, usual: str, variant: str = ""
) -> tfds.core.BuilderConfig | None:
    """Find the prepared copy of a data set.

    Args:
        name: The data set, as TFDS calls it.
        data_dir: Where prepared data sets are kept; by default TFDS's own folder.
        version: The version that is looked for.
        usual: The name of the copy that is made of a download; it is the first choice.
        variant: The beginning of the names of the others.

    Returns:
        The config of the copy; None where there is none.

    Raises:
        UserError: There are several, which differ in their images or labels.
    """
    root = Path(os.path.expanduser(data_dir or tfds.core.constants.DATA_DIR)) / name
    infos = sorted(root.glob(f"*/{version}/dataset_info.json"))
    prefix = f"{variant}-" if variant else ""
    copies = [info.parent for info in infos if info.parent.parent.name.startswith(prefix)]
    if (root / usual / str(version) / "dataset_info.json") in infos:
        copies = [root / usual / str(version)]
    if not copies:
        return None
    contents = {_content(copy) for copy in copies}
    if len(contents) > 1:
        raise UserError(
            f"{name} is prepared {len(copies)} times, from data that differ: "
            f"{', '.join(str(copy.parent) for copy in copies)}; name the folder that is meant with "
            f"{setting('data.manual_dir')}, or delete the copies that are not"
        )
    return tfds.core.BuilderConfig(name=copies[0].parent.name, version=version)


def _content(copy: Path) -> bytes:
    """The ids of all images and the counts of their labels; see `SegmentationBuilder`."""
    try:
        return (copy / "metadata.json").read_bytes()
    except OSError:  # damaged: reading it says so
        return b""
