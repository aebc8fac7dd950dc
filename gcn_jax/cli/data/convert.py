"""Convert annotations of other tools to a folder that trains.

    gcn-jax data convert export my_data
    gcn-jax data convert coco my_data --format coco --classes names.txt
    gcn-jax data convert scans my_data --name road
    gcn-jax data convert paintings my_data --classes colours.csv

The format is recognised: COCO's JSON, labelme, CVAT, Roboflow, YOLO polygons, colour masks, 0/255
masks, one file an object; docs/data.md has them all. The same command again goes on where it was
interrupted, and else changes nothing. An image is converted whole or not at all; what is not
converted is listed at the end, with the exit code 1.

Where the meaning of colours is not known, they are counted and written to my_data/colours.csv, with
the exit code 2: write a name on each line, and type the same command again.
"""

import sys
from collections import defaultdict
from pathlib import Path

from absl import flags

from gcn_jax.cli.flags import expect_arguments
from gcn_jax.terminal import say

FLAGS = flags.FlagValues()
flags.DEFINE_string(
    "format", None, "The format of the source; by default it is recognised.", flag_values=FLAGS
)
flags.DEFINE_string(
    "classes",
    None,
    "A file of class names, one a line, label 0 first; for colour masks of `class,r,g,b`. By "
    "default what the source has.",
    flag_values=FLAGS,
)
flags.DEFINE_string("name", None, "What 255 is in 0/255 masks.", flag_values=FLAGS)
flags.DEFINE_list("void", [], "Names of classes that become void.", flag_values=FLAGS)


def run(arguments: list[str]) -> None:
    """Convert, say what was done, and exit with 1 where something was left out."""
    from gcn_jax.data.convert import Options, convert  # not sooner: --help needs no data library

    expect_arguments(arguments, "SOURCE DESTINATION, two folders", 2)
    source, destination = map(Path, arguments)
    classes = Path(FLAGS.classes) if FLAGS.classes else None
    options = Options(classes, FLAGS.name, tuple(FLAGS.void), destination)
    done = convert(source, options, FLAGS.format)
    for remark in done.remarks:
        say(f"remark: {remark}")
    by_kind = defaultdict(list)
    for problem in done.problems:
        by_kind[problem.kind].append(str(problem))
    for kind, messages in by_kind.items():
        say(f"{kind}: {len(messages)}")
        for message in messages:
            say(f"  {message}")
    for split, count in done.num_images.items():
        say(f"{split or destination}: {count} images")
    names = ", ".join(done.class_names)
    total = sum(done.num_images.values())
    say(f"{done.format}: {done.num_written} of {total} images written now; classes {names}")
    if done.problems:
        say(f"{len(done.problems)} problems: what they name is not in {destination}")
        sys.exit(1)
    say(f"next: gcn-jax data validate {destination}")
