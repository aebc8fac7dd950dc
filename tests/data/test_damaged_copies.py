"""Damage to a prepared copy: the folder to delete is named, and then it is prepared again."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from gcn_jax.data import open_split
from gcn_jax.data.problems import Problem


def change(path, edit):
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


#: How to damage a copy: the folder is given.
DAMAGES = {
    "description is empty": lambda f: (f / "dataset_info.json").write_text(""),
    "description is cut off": lambda f: (f / "dataset_info.json").write_text('{"name": '),
    "description is of another version": lambda f: change(
        f / "dataset_info.json", lambda values: values.update(version="9.9.9")
    ),
    "metadata is empty": lambda f: (f / "metadata.json").write_text(""),
    "metadata is gone": lambda f: (f / "metadata.json").unlink(),
    "metadata has no ids": lambda f: change(f / "metadata.json", lambda m: m["train"].pop("ids")),
    "metadata has few ids": lambda f: change(
        f / "metadata.json", lambda m: m["train"]["ids"].pop()
    ),
    "metadata has ids that are no texts": lambda f: change(
        f / "metadata.json", lambda m: m["train"]["ids"].__setitem__(0, ["a"])
    ),
    "metadata has no count of void": lambda f: change(
        f / "metadata.json", lambda m: m["train"]["labels"].update(void=[1])
    ),
    "metadata has no counts": lambda f: change(
        f / "metadata.json", lambda m: m["train"]["labels"].update(pixels=["x"])
    ),
    "metadata has few counts": lambda f: change(
        f / "metadata.json", lambda m: m["train"]["labels"]["images"].pop()
    ),
    "records are gone": lambda f: next(f.glob("*train*record*")).unlink(),
    "records are empty": lambda f: next(f.glob("*train*record*")).write_bytes(b""),
    "records have a flipped bit": lambda f: flip(next(f.glob("*train*record*"))),
}


def read_all(settings):
    source = open_split("folder:train", settings)
    assert len(source.identities) == len(source)
    assert source.label_statistics.pixels.sum() > 0
    return [source[index]["label"] for index in range(len(source))]


@pytest.mark.parametrize("damage", DAMAGES)
def test_folder_to_delete_is_named(voc_folder, tmp_path, damage):
    settings = {"manual_dir": str(voc_folder), "data_dir": str(tmp_path)}
    expected = read_all(settings)
    (info,) = Path(tmp_path).glob("folder/*/*/dataset_info.json")
    DAMAGES[damage](info.parent)
    with pytest.raises(Problem, match="is damaged .*; delete that folder, and it is") as problem:
        read_all(settings)
    assert str(info.parent) in str(problem.value)
    assert "\n" not in str(problem.value)
    shutil.rmtree(info.parent)
    for label, again in zip(expected, read_all(settings), strict=True):
        np.testing.assert_array_equal(label, again)
