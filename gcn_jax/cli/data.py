"""Prepare data sets, find what is wrong with them, look at them.

python -m gcn_jax.data prepare NAME...              download, check and prepare data sets
python -m gcn_jax.data validate NAME|FOLDER         count classes, list all that is wrong
python -m gcn_jax.data show NAME|FOLDER[:SPLIT]     write a page of images with their labels

A FOLDER of yours stands for `folder --manual_dir=FOLDER`. `validate` exits with 1 where something
is wrong. `show` takes the split "train"; with --augmented it shows the images of the first batches
of training as --config=FILE (then without NAME) or --augment.crop_size="(height, width)" has them.
"""

import dataclasses
import json
import sys
from pathlib import Path

from absl import flags
from ml_collections import config_dict, config_flags
from rich.console import Console

from gcn_jax import atomic
from gcn_jax.cli import process
from gcn_jax.data import sources
from gcn_jax.data.transforms import Augment
from gcn_jax.errors import UserError, check_choice

_DATA_DIR = flags.DEFINE_string("data_dir", None, "Where prepared data sets are kept.")
_MANUAL_DIR = flags.DEFINE_string("manual_dir", None, "The folder that holds the data already.")
_COCO_YEAR = flags.DEFINE_enum("coco_year", "2014", ["2014", "2017"], "Which coco_voc.")
_COCO_MIN_AREA = flags.DEFINE_integer(
    "coco_min_area", 0, "Leave out images of coco_voc with fewer pixels of VOC's classes."
)
_JSON = flags.DEFINE_string("json", None, "validate: file to write all that was found to.")
_CONFIG = config_flags.DEFINE_config_file(
    "config", None, "show: the settings of a run; what it trains on is shown.", lock_config=True
)
_AUGMENTED = flags.DEFINE_bool("augmented", False, "show: the images as training sees them.")
_AUGMENT = config_flags.DEFINE_config_dict(
    "augment",
    config_dict.create(
        **{
            field.name: config_dict.placeholder(tuple)
            if field.default in (None, dataclasses.MISSING)
            else field.default
            for field in dataclasses.fields(Augment)
            if field.name != "fill"  # the mean that a model subtracts
        }
    ),
    "show: how they are augmented, without --config.",
)
_NUM_IMAGES = flags.DEFINE_integer("num_images", 24, "show: how many.", lower_bound=1)
_SEED = flags.DEFINE_integer("seed", None, "show: the seed; by default the config's, or 0.")
_OUTPUT = flags.DEFINE_string("output", "contact_sheet.html", "show: the page to write.")
_NAMES = ", ".join(sorted(sources.BUILDERS))


def main(argv):
    """Do what the verb says."""
    if len(argv) < 2:
        print(__doc__.strip(), file=sys.stderr)
        sys.exit(process.USER_ERROR_CODE)
    verbs = {"prepare": _prepare, "show": _show, "validate": _validate}
    check_choice("verb", argv[1], verbs)
    verbs[argv[1]](argv[2:])


def _prepare(names):
    if not names:
        raise UserError(f"prepare needs NAME..., of: {_NAMES}")
    for name in names:
        builder = sources.make_builder(name, _options())
        sources.prepare(builder)
        for split, info in builder.info.splits.items():
            print(f"{name}:{split}: {info.num_examples} images")
        print(f"{name}: {len(builder.classes.names)} classes, in {builder.data_path}")


def _validate(names):
    from gcn_jax.data.validation import validate
    from gcn_jax.report.validation_table import print_validation

    if len(names) != 1:
        raise UserError(f"validate needs one NAME, a folder of yours or one of: {_NAMES}")
    validation = validate(*_resolve(names[0]))
    print_validation(validation, Console(width=None if sys.stdout.isatty() else 120))
    if _JSON.value:
        atomic.write(_JSON.value, json.dumps(validation.to_json(), indent=2) + "\n")
    if validation.faults:
        sys.exit(1)


def _show(specs):
    if flags.FLAGS["config"].present == len(specs):
        raise UserError(f"show needs either one NAME[:SPLIT] or --config=FILE; names: {_NAMES}")
    from gcn_jax import report  # on top of all rooms, and slow to import

    if specs:
        name, _, split = specs[0].partition(":")
        name, options = _resolve(name)
        augment = _AUGMENT.value if _AUGMENTED.value else None
        view = report.split_view(f"{name}:{split or 'train'}", options, augment)
    else:
        path = Path(config_flags.get_config_filename(flags.FLAGS["config"]))
        if not path.exists():
            raise UserError(f"--config={path}: no such file")
        view = report.config_view(_CONFIG.value, Path("runs") / path.stem, _AUGMENTED.value)
    if _SEED.value is not None:
        view = view._replace(seed=_SEED.value)
    print(f"wrote {report.contact_sheet(view, _OUTPUT.value, num_images=_NUM_IMAGES.value)}")


def _options():
    holders = (_DATA_DIR, _MANUAL_DIR, _COCO_YEAR, _COCO_MIN_AREA)
    return {holder.name: holder.value for holder in holders}


def _resolve(name):
    """Return a data set and its options; a path stands for the data set "folder"."""
    if name not in sources.BUILDERS and Path(name).is_dir():
        return "folder", _options() | {"manual_dir": name}
    return name, _options()


if __name__ == "__main__":
    process.run(main)
