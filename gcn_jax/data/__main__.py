"""`python -m gcn_jax.data prepare NAME...`: download, check and prepare data sets."""

from absl import flags

from gcn_jax import cli
from gcn_jax.data.sources import BUILDERS, make_builder, prepare
from gcn_jax.errors import UserError

_DATA_DIR = flags.DEFINE_string("data_dir", None, "Where prepared data sets are kept.")
_MANUAL_DIR = flags.DEFINE_string("manual_dir", None, "The folder that holds the data already.")

_COCO_YEAR = flags.DEFINE_enum("coco_year", "2014", ["2014", "2017"], "Which coco_voc.")
_COCO_MIN_AREA = flags.DEFINE_integer(
    "coco_min_area", 0, "Leave out images of coco_voc with fewer pixels of VOC's classes."
)

_USAGE = f"usage: python -m gcn_jax.data prepare NAME...; names: {', '.join(sorted(BUILDERS))}"


def main(argv):
    """Prepare the data sets that are named."""
    verb, *names = argv[1:] or [""]
    if verb != "prepare" or not names:
        raise UserError(_USAGE)
    options = {
        "data_dir": _DATA_DIR.value,
        "manual_dir": _MANUAL_DIR.value,
        "coco_year": _COCO_YEAR.value,
        "coco_min_area": _COCO_MIN_AREA.value,
    }
    for name in names:
        builder = make_builder(name, options)
        prepare(builder)
        for split, info in builder.info.splits.items():
            print(f"{name}:{split}: {info.num_examples} images")
        print(f"{name}: {len(builder.classes.names)} classes, in {builder.data_path}")


if __name__ == "__main__":
    cli.run(main)
