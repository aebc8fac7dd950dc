"""Readers of command lines: flags and settings of the verbs, up to where work would begin."""

import contextlib
import io
import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from gcn_jax.cli import crf_search, evaluate, predict, process, train
from gcn_jax.cli.data import show
from gcn_jax.errors import UserError
from gcn_jax.training.config import check_config
from tests.fuzz import mutations
from tests.fuzz.cases import Reader

#: Words that come last and so count: no run is found, and nothing is computed.
_NOWHERE = ["--ckpt=/nowhere/at all"]


def _settings(verb: Any) -> Callable[[list[str]], Any]:
    """Take and check all settings of a verb that has `--config`."""

    def read(words: list[str]) -> Any:
        found: list[str] = []

        def run(rest: list[str]) -> None:
            check_config(verb.CONFIG.value)
            found[:] = [*rest, repr(verb.CONFIG.value.to_dict())]

        process.call(SimpleNamespace(FLAGS=verb.FLAGS, CONFIG=verb.CONFIG, run=run), words)
        return found, repr(verb.FLAGS.flag_values_dict())

    return read


def _run(verb: Any) -> Callable[[list[str]], Any]:
    """Run a verb, whose flags are read before it finds that there is no such run."""

    def read(words: list[str]) -> Any:
        words = [word for word in words if word != "--"]  # after it _NOWHERE would be no flag
        with contextlib.redirect_stdout(io.StringIO()):
            try:
                process.call(verb, [*words, *_NOWHERE])
            except UserError as error:
                if "nowhere/at all" in str(error):
                    return repr(verb.FLAGS.flag_values_dict())
                raise
        raise AssertionError(f"{words} ran")

    return read


def _reader(verb: str, read: Callable[[list[str]], Any], *words: str) -> Reader:
    return Reader(
        f"command line: {verb}",
        write=lambda folder: (folder / "words.json").write_text(json.dumps(words)),
        read=lambda folder: read(json.loads((folder / "words.json").read_text())),
        mutate=mutations.of_words,
        short=50,
    )


_SETTINGS = (
    "seed=1", "num_devices=1", "remat=True", "init_from=None", 'init_except=()', "batch_size=4",
    "num_steps=12", "log_every=4", "eval_every=6", "checkpoint_every=4", "eval_batch_size=4",
    "model.kernel_size=7", "model.name=gcn_resnet50", "model.dtype=float32",
    "data.train=('shapes:train',)", "data.val=shapes:val", "data.mean=(1, 2, 3)",
    "data.std=(1, 2, 3)", "data.coco_year=2014", "data.num_threads=2",
    "data.cache_in_memory=False", "augment.crop_size=(64, 64)", "augment.flip=True",
    "augment.scale=(0.5, 1.5)", "augment.jitter=0.2", "augment.rotation=10", "loss.dice=1.0",
    "loss.class_weights=median_frequency", "loss.label_smoothing=0.1",
    "optimizer.learning_rate=0.02", "optimizer.momentum=0.9", "optimizer.schedule=step",
    "optimizer.step_boundaries=(4, 8)", "optimizer.ema_decay=0.9", "optimizer.accumulate=2",
)  # fmt: skip
_INFERENCE = ("--scales=0.5,1.0", "--flip", "--window=64,32", "--overlap=0.5")
_CRF = "--crf=3,3,50,10,5,10"

READERS = (
    _reader(
        "train", _settings(train), "--config=quickstart", "--workdir=runs/a", "--num_processes=1",
        "--process_id=0", *(f"--config.{setting}" for setting in _SETTINGS),
    ),
    _reader(
        "evaluate", _run(evaluate), "--split=val", "--step=last", "--data_dir=a", "--manual_dir=b",
        "--batch_size=2", "--boundary", "--json=a.json", "--report=a.html", *_INFERENCE, _CRF,
    ),
    _reader("predict", _run(predict), __file__, "--output=a", *_INFERENCE, _CRF),
    _reader(
        "crf-search", _run(crf_search), "--num_images=2", "--iterations=3", "--top=2",
        "--gaussian_sxy=1,3", "--gaussian_weight=3", "--bilateral_sxy=50,70",
        "--bilateral_srgb=3,10", "--bilateral_weight=4", *_INFERENCE,
    ),
    _reader(
        "data show", _settings(show), "--config=quickstart", "--augmented", "--num_images=2",
        "--seed=1",
        "--data_dir=a", "--config.augment.crop_size=(64, 64)", "--config.augment.flip=False",
        "--config.data.train=('shapes:train',)",
    ),
)  # fmt: skip
