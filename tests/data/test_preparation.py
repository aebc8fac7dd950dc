"""What preparation shows, and what happens when two runs prepare the same data set."""

import pytest
from tensorflow_datasets.core.utils import tqdm_utils

from gcn_jax.data import Source, images, prepare
from gcn_jax.data.builders.registry import make_builder


@pytest.fixture
def make(voc_folder, tmp_path):
    """A function that makes another builder of the same data set."""
    return lambda: make_builder(
        "folder", {"manual_dir": str(voc_folder), "data_dir": str(tmp_path)}
    )


def test_without_a_terminal_one_line_says_what_is_prepared(make, capfd):
    builder = make()
    prepare(builder)
    prepare(builder)
    said = capfd.readouterr()
    assert said.out == f"Preparing folder in {builder.data_path}\n"
    assert said.err == ""
    assert tqdm_utils._active  # TFDS shows its own bars to others, as before


def test_terminal_shows_how_far_each_split_is(make, monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    prepare(make())
    shown = capsys.readouterr().err
    for text in ("folder:train", "12/12", "folder:val", "5/5"):
        assert text in shown
    # The set is looked at, and then written: after both the cursor comes back.
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h") == 2


def test_problem_ends_the_bar(make, monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    builder = make()

    def fail(array):
        raise OSError(f"disk full at {array.shape}")

    monkeypatch.setattr(images, "encode_png", fail)  # the set was looked at, and is being written
    with pytest.raises(OSError, match="disk full at"):
        prepare(builder)
    assert capsys.readouterr().err.count("\x1b[?25h") == 2
    assert tqdm_utils._active
    assert not builder.is_prepared()


def test_run_that_another_one_overtakes_uses_its_result(make, monkeypatch):
    slow, late = make(), make()
    generate = slow._split_generators

    def overtaken(dl_manager):
        prepare(make())
        return generate(dl_manager)

    monkeypatch.setattr(slow, "_split_generators", overtaken)
    for builder in (slow, late):  # late: made before the data were there, asked for afterwards
        prepare(builder)
        source = Source(builder, "val")
        assert [example["id"] for example in source] == [f"val_{i:02d}" for i in range(5)]
