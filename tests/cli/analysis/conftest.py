"""Short runs for the commands of the studies."""

import pytest
from ml_collections import ConfigDict

from gcn_jax.analysis.studies import recipes
from gcn_jax.training import default_config


@pytest.fixture
def tiny_recipe(voc_folder, tmp_path_factory, monkeypatch):
    """A recipe "shapes" of two steps on twelve images."""
    prepared = str(tmp_path_factory.getbasetemp() / "studies_data")

    def recipe() -> ConfigDict:
        config = default_config()
        config.num_devices = 1
        config.model.name = "_tiny"
        config.data.train, config.data.val = ("folder:train",), "folder:val"
        config.data.manual_dir, config.data.data_dir = str(voc_folder), prepared
        config.augment.crop_size = (32, 48)
        config.batch_size = config.eval_batch_size = 4
        config.num_steps = 2
        return config

    monkeypatch.setitem(recipes.RECIPES, "shapes", recipe)


@pytest.fixture
def short_run(tmp_path):
    """A function (folder of published data) -> flags of a run of two steps of two small crops."""

    def flags(folder) -> list[str]:
        settings = ("num_steps=2", "batch_size=2", "num_devices=1", "augment.crop_size=(32, 48)")
        folders = (f"data.manual_dir={folder}", f"data.data_dir={tmp_path / 'data'}")
        return [f"--set={setting}" for setting in (*settings, *folders)]

    return flags
