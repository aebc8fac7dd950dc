"""Digests, against published values of the two checksums."""

import numpy as np
import pytest

from gcn_jax.models.pretrained.digests import check_digests, digests_of

#: Of nothing (xxHash's own tests), and of "123456789" (the check value of CRC-32).
XXH3_OF_NOTHING = "2d06800538d394c2"
CRC32_OF_DIGITS = "cbf43926"


def test_digests_are_xxh3():
    tree = {"layer": {"kernel": np.zeros((0, 3), np.float32)}}
    assert digests_of(tree) == {"layer/kernel": XXH3_OF_NOTHING}


def test_digests_of_older_versions_are_compared():
    tree = {"scale": np.frombuffer(b"123456789", np.uint8)}
    written = {"scale": CRC32_OF_DIGITS}
    assert digests_of(tree, written) == written
    check_digests(tree, written)
    tree["scale"] = tree["scale"].copy()
    tree["scale"][4] ^= 1
    with pytest.raises(ValueError, match="scale is not what was written"):
        check_digests(tree, written)


def test_the_order_of_elements_counts_and_their_layout_does_not():
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert digests_of({"a": array}) == digests_of({"a": np.asfortranarray(array)})
    assert digests_of({"a": array}) != digests_of({"a": array[::-1]})
