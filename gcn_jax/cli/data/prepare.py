"""Download, check and prepare data sets.

    gcn-jax data prepare camvid voc_segmentation
    gcn-jax data prepare sbd --manual_dir archives

Nothing is downloaded where --manual_dir names the folder that holds the data already, unpacked or
as the archives that are published (docs/data.md lists them).
"""

from absl import flags

from gcn_jax.cli.flags import define_data_flags
from gcn_jax.errors import UserError
from gcn_jax.terminal import say

FLAGS = flags.FlagValues()
_SETTINGS = define_data_flags(FLAGS)


def run(arguments: list[str]) -> None:
    """Prepare each data set and print its splits."""
    from gcn_jax.data import list_data_sets, prepare  # not sooner: --help needs no data library
    from gcn_jax.data.builders.registry import make_builder

    if not arguments:
        raise UserError(f"prepare needs NAME..., of: {', '.join(list_data_sets())}")
    for name in arguments:
        builder = make_builder(name, _SETTINGS())
        prepare(builder)
        for split, info in builder.info.splits.items():
            say(f"{name}:{split}: {info.num_examples} images")
        say(f"{name}: {len(builder.classes.names)} classes, in {builder.data_path}")
