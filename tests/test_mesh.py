from types import SimpleNamespace

import jax
import numpy as np
import pytest
from jax.sharding import PartitionSpec

from gcn_jax.errors import UserError
from gcn_jax.mesh import batch_sharding, data_mesh, replicated, shard_batch
from gcn_jax.training import default_config
from gcn_jax.training.devices import make_mesh


def test_mesh_has_two_axes_over_all_devices_or_those_given():
    assert dict(data_mesh().shape) == {"data": 8, "height": 1}
    assert dict(data_mesh(height=4).shape) == {"data": 2, "height": 4}
    assert data_mesh(height=4).devices[1].tolist() == jax.devices()[4:]
    assert data_mesh(jax.devices()[2:4]).devices[:, 0].tolist() == jax.devices()[2:4]


def test_devices_of_two_kinds_are_refused_where_they_would_work_together(monkeypatch):
    config = default_config()
    there = [
        *jax.devices()[:2],
        SimpleNamespace(device_kind="another"),
        SimpleNamespace(device_kind="another"),
    ]
    monkeypatch.setattr(jax, "devices", lambda: there)
    with pytest.raises(UserError, match="these are another and cpu; hide the others"):
        make_mesh(config)
    config.num_devices = 2  # the first ones, which are of one kind
    assert make_mesh(config).devices[:, 0].tolist() == there[:2]


def test_shardings_split_the_batch_and_nothing_else():
    mesh = data_mesh()
    assert batch_sharding(mesh).spec == PartitionSpec("data")
    assert batch_sharding(mesh, 1, rows=True).spec == PartitionSpec(None, "data", "height")
    assert replicated(mesh).is_fully_replicated


def test_shard_batch_gives_each_device_its_rows():
    mesh = data_mesh()
    batch = {
        "image": np.arange(16 * 2 * 2 * 3, dtype=np.uint8).reshape(16, 2, 2, 3),
        "label": np.arange(16 * 2 * 2, dtype=np.uint8).reshape(16, 2, 2),
    }
    for same_on_every_host in (False, True):  # equal where there is one host
        sharded = shard_batch(batch, mesh, same_on_every_host=same_on_every_host)
        assert sharded.keys() == batch.keys()
        for name, array in sharded.items():
            assert array.dtype == np.uint8
            assert array.sharding == batch_sharding(mesh, rows=True)
            np.testing.assert_array_equal(array, batch[name])
            third = array.addressable_shards[2]
            assert third.device == jax.devices()[2]
            np.testing.assert_array_equal(third.data, batch[name][4:6])


def test_shard_batch_splits_the_rows_of_images_labels_and_maps_alone():
    mesh = data_mesh(height=2)
    batch = {
        "image": np.arange(4 * 6 * 2 * 3, dtype=np.uint8).reshape(4, 6, 2, 3),
        "label": np.arange(4 * 6 * 2, dtype=np.uint8).reshape(4, 6, 2),
        "sizes": np.arange(4 * 2, dtype=np.int32).reshape(4, 2),
    }
    sharded = shard_batch(batch, mesh)
    for name, rows in (("image", slice(3, 6)), ("label", slice(3, 6)), ("sizes", slice(0, 2))):
        (fourth,) = (s for s in sharded[name].addressable_shards if s.device == jax.devices()[3])
        np.testing.assert_array_equal(fourth.data, batch[name][1:2, rows])


def test_a_mesh_of_examples_alone_splits_no_rows():
    examples = jax.make_mesh((2,), ("data",), devices=jax.devices()[:2])
    images = np.zeros((4, 8, 6, 3), np.uint8)
    found = shard_batch({"image": images}, examples)["image"]
    assert {shard.data.shape for shard in found.addressable_shards} == {(2, 8, 6, 3)}
