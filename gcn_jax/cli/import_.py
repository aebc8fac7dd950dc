"""Convert a published network into a workdir, from a file or the Hugging Face hub.

    gcn-jax import fcn8s_from_caffe.pth --workdir runs/fcn8s_voc
    gcn-jax import hf://owner/name/model.pth --classes names.txt --workdir runs/pspnet

The network is recognised by the names and shapes of the tensors in the file; no code in it is run.
Every command takes the workdir as that of a training run, and a run starts from it with
--config.init_from=DIR.
"""

from pathlib import Path

from absl import flags

from gcn_jax.cli.flags import expect_arguments, key_and_value
from gcn_jax.terminal import say
from gcn_jax.workdir import Workdir

FLAGS = flags.FlagValues()
flags.DEFINE_string("workdir", None, "The folder to write.", required=True, flag_values=FLAGS)
flags.DEFINE_string(
    "network",
    None,
    "The network that the file must be of, such as fcn8s_vgg16; by default whichever it is. "
    "fcn8s_atonce_vgg16, whose files have the tensors of fcn8s_vgg16, must be named.",
    flag_values=FLAGS,
)
flags.DEFINE_multi_string(
    "field",
    [],
    "KEY=VALUE, a field of the network with which it has the file's tensors; can be repeated.",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "classes",
    None,
    "File of class names, one a line, label 0 first; by default by their number, such as VOC's 21.",
    flag_values=FLAGS,
)

#: What follows where no published data set has these classes.
_MY_DATA = " --manual_dir my_data"


def run(arguments: list[str]) -> None:
    """Write the workdir, and say what it is and what can be done with it."""
    from gcn_jax.data.class_lists import read_class_file  # not sooner: --help needs neither
    from gcn_jax.training.imported import import_network
    from gcn_jax.weights.published.load import CAFFE

    expect_arguments(arguments, "FILE or hf://owner/name", 1)
    classes = read_class_file(Path(FLAGS.classes)) if FLAGS.classes else None
    fields = dict(key_and_value("--field", text) for text in FLAGS.field)
    info, origin = import_network(
        arguments[0], FLAGS.workdir, network=FLAGS.network, fields=fields, classes=classes
    )
    described = ", ".join(f"{name}={value}" for name, value in info.fields.items())
    names = ", ".join(info.class_names)
    say(f"{origin.family}: {info.name} ({described})")
    if FLAGS.network is None and info.name == "fcn8s_vgg16" and not arguments[0].endswith(CAFFE):
        say("if it was trained at once, import it anew with --network fcn8s_atonce_vgg16")
    say(f"classes: {names}")
    say(f"licence: {origin.licence}; {origin.homepage}")
    say(f"wrote {FLAGS.workdir}; next:")
    say(f"  gcn-jax predict --ckpt {FLAGS.workdir} photo.jpg")
    val = Workdir(FLAGS.workdir).read_config()["data"]["val"]
    say(f"  gcn-jax evaluate --ckpt {FLAGS.workdir}" + _MY_DATA * val.startswith("folder:"))
