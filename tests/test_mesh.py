import jax
import numpy as np
from jax.sharding import PartitionSpec

from gcn_jax.mesh import batch_sharding, data_mesh, replicated, shard_batch


def test_mesh_has_one_axis_over_all_devices_or_those_given():
    assert data_mesh().axis_names == ("data",)
    assert data_mesh().size == len(jax.devices()) == 8
    assert data_mesh(jax.devices()[2:4]).devices.tolist() == jax.devices()[2:4]


def test_shardings_split_the_batch_and_nothing_else():
    mesh = data_mesh()
    assert batch_sharding(mesh).spec == PartitionSpec("data")
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
            assert array.sharding == batch_sharding(mesh)
            np.testing.assert_array_equal(array, batch[name])
            third = array.addressable_shards[2]
            assert third.device == jax.devices()[2]
            np.testing.assert_array_equal(third.data, batch[name][4:6])
