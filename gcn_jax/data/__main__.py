"""Prepare data sets, find what is wrong with them, look at them.

python -m gcn_jax.data prepare NAME...         download, check and prepare data sets
python -m gcn_jax.data validate NAME|FOLDER    count classes; list all that is wrong (exit code 1)
python -m gcn_jax.data show NAME|FOLDER[:SPLIT] [--augmented --crop_size=H,W | --config=FILE]
                                               write a page of images with their labels; with
                                               --augmented or --config as training sees them

A FOLDER is one of your own images and masks, the same as `folder --manual_dir=FOLDER`.
"""

import json
import sys
from pathlib import Path

from absl import flags
from ml_collections import config_flags
from rich.console import Console

from gcn_jax import atomic, cli
from gcn_jax.data.sources import BUILDERS, make_builder, prepare
from gcn_jax.errors import UserError, check_choice

_DATA_DIR = flags.DEFINE_string("data_dir", None, "Where prepared data sets are kept.")
_MANUAL_DIR = flags.DEFINE_string("manual_dir", None, "The folder that holds the data already.")
_COCO_YEAR = flags.DEFINE_enum("coco_year", "2014", ["2014", "2017"], "Which coco_voc.")
_COCO_MIN_AREA = flags.DEFINE_integer(
    "coco_min_area", 0, "Leave out images of coco_voc with fewer pixels of VOC's classes."
)
_JSON = flags.DEFINE_string("json", None, "validate: file to write all that was found to.")


def main(argv):
    """Do what the verb says."""
    if len(argv) < 2:
        print(__doc__.strip(), file=sys.stderr)
        sys.exit(cli.USER_ERROR_CODE)
    verbs = {"prepare": _prepare, "validate": _validate}
    check_choice("verb", argv[1], verbs)
    verbs[argv[1]](argv[2:])


def _prepare(names):
    if not names:
        raise UserError(f"prepare which data set? Choose of: {', '.join(sorted(BUILDERS))}")
    for name in names:
        builder = make_builder(name, _options())
        prepare(builder)
        for split, info in builder.info.splits.items():
            print(f"{name}:{split}: {info.num_examples} images")
        print(f"{name}: {len(builder.classes.names)} classes, in {builder.data_path}")


def _validate(names):
    from gcn_jax.data.summary import print_validation
    from gcn_jax.data.validation import validate

    if len(names) != 1:
        raise UserError(f"validate which data set? One of {', '.join(sorted(BUILDERS))}, or a folder")
    validation = validate(*_resolve(names[0]))
    print_validation(validation, Console(width=None if sys.stdout.isatty() else 120))
    if _JSON.value:
        atomic.write(_JSON.value, json.dumps(validation.to_json(), indent=2) + "\n")
    if validation.faults:
        sys.exit(1)


def _options():
    """Return the `data` section that the flags describe."""
    return {
        "data_dir": _DATA_DIR.value,
        "manual_dir": _MANUAL_DIR.value,
        "coco_year": _COCO_YEAR.value,
        "coco_min_area": _COCO_MIN_AREA.value,
    }


def _resolve(name):
    """Return a data set and its options; a path stands for the data set "folder"."""
    if name not in BUILDERS and Path(name).is_dir():
        return "folder", _options() | {"manual_dir": name}
    return name, _options()


if __name__ == "__main__":
    cli.run(main)
