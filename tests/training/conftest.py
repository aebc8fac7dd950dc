"""A small run, whole, which runs that are stopped or killed are compared with."""

import pytest

from gcn_jax.training import default_config, loop, train_and_evaluate


@pytest.fixture(scope="package", autouse=True)
def _parts_of_a_config_are_made_once():
    """JAX traces and compiles a step once for each function, which `make_parts` makes anew."""
    make_parts, made = loop.make_parts, {}

    def once(config, *args):
        key = config.to_json(sort_keys=True)
        if key not in made:
            made[key] = make_parts(config, *args)
        return made[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "make_parts", once)
        yield


@pytest.fixture(scope="module")
def config(voc_folder, tmp_path_factory):
    config = default_config()
    config.num_devices = 1
    config.model.name = "_tiny"
    config.model.kernel_size = 5
    config.data.train = ("folder:train",)
    config.data.val = "folder:val"
    config.data.manual_dir = str(voc_folder)
    config.data.data_dir = str(tmp_path_factory.mktemp("data"))
    config.data.num_threads = 2
    config.augment.crop_size = (32, 48)
    config.augment.scale = (0.8, 1.25)
    config.augment.jitter = 0.2
    config.batch_size = 4
    config.num_steps = 12
    config.log_every = 4
    config.eval_every = 6
    config.checkpoint_every = 4
    config.eval_batch_size = 4
    config.eval_train_images = 5
    config.optimizer.ema_decay = 0.9
    config.optimizer.learning_rate = 0.05
    return config.lock()


@pytest.fixture(scope="module")
def finished(config, tmp_path_factory):
    """The workdir and the state of an uninterrupted run."""
    workdir = tmp_path_factory.mktemp("run") / "whole"
    return workdir, train_and_evaluate(config, workdir)
