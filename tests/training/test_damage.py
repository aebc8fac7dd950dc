"""Damage to checkpoints: noticed, named, and never in the way of the steps that are whole."""

import asyncio
import gc
import json
import random
import shutil
import warnings
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gcn_jax import models
from gcn_jax.cli import process, verify
from gcn_jax.errors import UserError
from gcn_jax.models.pretrained import steps
from gcn_jax.models.pretrained.file_digests import check_file_digests
from gcn_jax.models.pretrained.info import write_info
from gcn_jax.models.pretrained.verify import verify as verify_steps
from gcn_jax.training.checkpoints import Checkpoints
from gcn_jax.training.state import create_state
from tests.helpers.runs import SMALL


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A workdir with the steps 4 and 8, of which 4 is the better one, and the states."""
    workdir = tmp_path_factory.mktemp("runs") / "run"
    workdir.mkdir()
    write_info(workdir, SMALL)
    model, tx = models.create_model(SMALL.name, **SMALL.fields), optax.trace(0.9)
    state = jax.jit(lambda rng: create_state(model, tx, rng, ema=True))(jax.random.key(0))
    states = {4: state, 8: jax.tree.map(lambda leaf: leaf + 1, state)}
    with Checkpoints(workdir) as checkpoints:
        for step, score in ((4, 0.75), (8, 0.5)):
            checkpoints.save(step, states[step], {"iterator": {"next_index": step}})
            checkpoints.add_scores(step, {"val/miou": score, "val/pixel_accuracy": 0.875})
    return workdir, states


@pytest.fixture
def run(written, tmp_path):
    shutil.copytree(written[0], tmp_path / "run")
    return tmp_path / "run", written[1]


def flip(path: Path, rng: random.Random) -> None:
    """Flip one bit of a file."""
    content = bytearray(path.read_bytes())
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    path.write_bytes(bytes(content))


def assert_right(workdir: Path, states) -> int:
    """What training reads is a step as it was written, or, with a warning, the one before."""
    with warnings.catch_warnings(record=True) as noticed, Checkpoints(workdir) as checkpoints:
        warnings.simplefilter("always")
        state, position = checkpoints.restore(jax.tree.map(jnp.zeros_like, states[8]))
    step = position["iterator"]["next_index"]
    jax.tree.map(np.testing.assert_array_equal, state, states[step])
    said = [str(warning.message) for warning in noticed]
    assert step == 8 or any("checkpoints/8 cannot be read" in line for line in said)
    for warning in noticed:
        warnings.warn(warning.message, stacklevel=2)
    return step


def files_with(workdir: Path, step: int) -> list[Path]:
    found = sorted((workdir / f"checkpoints/{step}").rglob("*"))
    return [path for path in found if path.is_file() and path.stat().st_size]


@pytest.mark.parametrize("every", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_flipped_bit_in_any_file_is_never_read_as_good_weights(written, tmp_path, every):
    rng = random.Random(0)
    files = files_with(written[0], 8)
    if not every:
        files = [file for file in files if file.parent.name in ("data", "digests", "metrics")]
        files += [max(files_with(written[0], 8), key=lambda file: file.stat().st_size)]
    assert len(files) >= 4
    for number, path in enumerate(files):
        workdir = tmp_path / str(number)
        shutil.copytree(written[0], workdir)
        flip(workdir / path.relative_to(written[0]), rng)
        with warnings.catch_warnings(record=True) as noticed:
            warnings.simplefilter("always")
            loaded = models.load_pretrained(workdir, step="last")
            assert loaded.step == 8 or "checkpoints/8 cannot be read" in str(noticed[0].message)
            expected = written[1][loaded.step].ema
            for name in ("params", "batch_stats"):
                jax.tree.map(np.testing.assert_array_equal, loaded.variables[name], expected[name])
            assert_right(workdir, written[1])


def test_reads_beside_one_that_fails_end_before_their_event_loop_is_closed(run, capfd, caplog):
    """Else TensorStore prints a traceback for each of them, from another thread."""
    ended = []

    async def fail():
        raise ValueError("damaged")

    async def read():
        await asyncio.sleep(0.02)
        ended.append("read")

    async def fail_later():
        await asyncio.sleep(0.01)
        raise ValueError("damaged, too")

    async def both():
        later = asyncio.ensure_future(fail_later())
        await asyncio.gather(read(), fail())
        await later

    def restore(step):
        loop = asyncio.new_event_loop()
        try:
            loop.run_until_complete(both())
        finally:
            loop.close()

    with pytest.warns(UserWarning, match="4 cannot be read .damaged"):
        assert steps.first_readable([4], restore, "run") is None
    assert ended == ["read"]
    for step in (4, 8):
        for path in (run[0] / f"checkpoints/{step}/state/d").iterdir():
            path.write_bytes(path.read_bytes()[:100])
    for _ in range(3):
        assert None not in verify_steps(run[0]).values()
        with (
            pytest.warns(match="cannot be read"),
            pytest.raises(UserError, match="none of the checkpoints"),
        ):
            models.load_pretrained(run[0])
    gc.collect()
    assert not [record for record in caplog.records if record.name == "asyncio"]
    assert "Traceback" not in capfd.readouterr().err


def noticed(written, workdir: Path, files: list[Path], rng: random.Random) -> bool:
    """Flip a bit in one of some files of step 8, and say whether step 4 is read instead of it."""
    shutil.copytree(written[0], workdir)
    (path,) = rng.choices(files, [path.stat().st_size for path in files])
    flip(workdir / path.relative_to(written[0]), rng)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        step = assert_right(workdir, written[1])
    shutil.rmtree(workdir)
    return step == 4


@pytest.mark.parametrize("count", [8, pytest.param(1000, marks=pytest.mark.slow)])
def test_a_flipped_bit_anywhere_is_noticed(written, tmp_path, count):
    """Also in what nothing reads, of which Orbax leaves much; scores have a digest of their own."""
    rng = random.Random(1)
    files = [path for path in files_with(written[0], 8) if path.parent.name != "metrics"]
    assert sum(noticed(written, tmp_path / str(i), files, rng) for i in range(count)) == count


def test_bytes_that_nothing_reads_are_compared_by_all_who_read(run):
    step = run[0] / "checkpoints/8"
    (path,) = step.glob("_CHECKPOINT_METADATA")
    path.write_text(path.read_text() + " ")
    told = "_CHECKPOINT_METADATA is not what was written: its digest differs"
    assert verify_steps(run[0]) == {4: None, 8: told}
    with pytest.warns(UserWarning, match=f"checkpoints/8 cannot be read .{told}"):
        assert models.load_pretrained(run[0], step="last").step == 4


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda step: (step / "new").touch(), "new was not there when it was written"),
        (lambda step: (step / "_CHECKPOINT_METADATA").unlink(), "_CHECKPOINT_METADATA is missing"),
        (lambda step: (step / "digests/files.json").write_text("[]"), "digests/files.json is dam"),
        (lambda step: (step / "digests/files.json").unlink(), None),  # killed before it was there
    ],
)
def test_files_of_a_step_are_those_that_were_written(run, damage, told):
    step = run[0] / "checkpoints/8"
    damage(step)
    if told is None:
        check_file_digests(step)
    else:
        with pytest.raises(ValueError, match=told):
            check_file_digests(step)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b"\xff", b'{"val/miou": "x"}'])
def test_damaged_scores_of_a_step_do_not_matter_to_the_others(run, content):
    workdir, states = run
    (workdir / "checkpoints/4/metrics/metrics").write_bytes(content)
    with pytest.warns(UserWarning, match="metrics is damaged .*: step 4 has no scores"):
        assert models.load_pretrained(workdir).step == 8
    with pytest.warns(UserWarning, match="step 4 has no scores"):
        assert_right(workdir, states)


def test_scores_that_were_changed_are_noticed(run):
    path = run[0] / "checkpoints/8/metrics/metrics"
    path.write_text(path.read_text().replace("0.5", "0.9"))
    with pytest.warns(UserWarning, match="its digest differs"):
        assert models.load_pretrained(run[0]).step == 4


def test_a_position_that_was_changed_is_noticed(run):
    path = run[0] / "checkpoints/8/data/metadata"
    path.write_text(path.read_text().replace("next_index", "next_indEx"))
    with pytest.warns(UserWarning, match=r"8 cannot be read \(the position|is now .*damaged-8"):
        assert_right(*run)
    assert (run[0] / "damaged-8").is_dir()


def test_checkpoints_of_older_versions_are_read_with_a_remark(run):
    """They have no digests, neither of arrays nor of scores."""
    workdir, states = run
    for step in (4, 8):
        shutil.rmtree(workdir / f"checkpoints/{step}/digests")
        path = workdir / f"checkpoints/{step}/metrics/metrics"
        scores = json.loads(path.read_text())
        del scores["digest"]
        path.write_text(json.dumps(scores))
    with pytest.warns(UserWarning, match="checkpoints/4 has no digests, as those of older"):
        assert models.load_pretrained(workdir).step == 4
    with pytest.warns(UserWarning, match="checkpoints/8 has no digests"):
        assert_right(workdir, states)


@pytest.mark.filterwarnings("error")
def test_a_remark_is_not_taken_for_damage_where_warnings_are_errors(run):
    for step in (4, 8):
        shutil.rmtree(run[0] / f"checkpoints/{step}/digests")
    with pytest.raises(UserWarning, match="checkpoints/4 has no digests"):
        models.load_pretrained(run[0])


def test_verify_says_which_steps_are_whole(run, capsys):
    process.call(verify, [str(run[0])])
    assert capsys.readouterr().out == "step 4: whole\nstep 8: whole\n"
    rng = random.Random(2)
    for path in (run[0] / "checkpoints/8/state").rglob("d/*"):
        flip(path, rng)
    with pytest.raises(SystemExit) as ended:
        process.call(verify, [str(run[0])])
    assert ended.value.code == 1
    assert "step 4: whole\nstep 8: " in capsys.readouterr().out
    with pytest.raises(UserError, match="has no checkpoint yet"):
        process.call(verify, [str(run[0] / "nowhere")])


def test_newest_two_and_the_best_are_kept(run):
    workdir, states = run
    with Checkpoints(workdir) as checkpoints:
        for step in (12, 16, 20):
            checkpoints.save(step, states[8], {})
        checkpoints.add_scores(20, {"val/miou": 0.7})
    assert sorted(checkpoints.scores) == [4, 16, 20]
    assert {path.name for path in (workdir / "checkpoints").iterdir()} == {"4", "16", "20"}


def test_the_best_has_the_highest_score_and_nan_has_the_least():
    scores = {1: {"val/miou": 0.5}, 2: {"val/miou": 0.5}, 3: None, 4: {"val/miou": float("nan")}}
    assert steps.best_step(scores) == 2
    assert steps.best_step({3: None, 4: scores[4]}) == 4
    assert steps.best_step({3: None}) is None


def test_a_checkpoint_that_cannot_be_written_ends_in_one_line(run, monkeypatch):
    workdir, states = run
    with Checkpoints(workdir) as checkpoints:

        def fail(*args, **kwargs):
            raise ValueError("RESOURCE_EXHAUSTED: Failed writing: No space left on device\nmore")

        monkeypatch.setattr(checkpoints._manager, "save", fail)
        with pytest.raises(
            UserError,
            match=r"checkpoint of step 12 cannot be written to .*No space left on device; "
            r"step 8 is saved, from which the same command goes on$",
        ):
            checkpoints.save(12, states[8], {})
