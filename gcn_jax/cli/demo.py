"""Try a model in the browser: a page on this machine takes pictures and shows their classes.

    gcn-jax demo --ckpt runs/quickstart

Drop a picture on the page: its classes lie over it, as opaque as the slider says, and the legend
has the share of each. With a mask (an indexed PNG) truth and prediction blink in turn. A click
shows the valid receptive field of that pixel: where covering the picture changes its score.

Only this machine can open the page. --host=0.0.0.0 lets the whole network in, by the machine's
address: nobody is asked for a password.
"""

from pathlib import Path

from absl import flags

from gcn_jax import models
from gcn_jax.cli import process
from gcn_jax.cli.flags import expect_arguments
from gcn_jax.demo.segmenter import Segmenter
from gcn_jax.demo.server import make_server
from gcn_jax.terminal import say

FLAGS = flags.FlagValues()
flags.DEFINE_string("ckpt", None, "Workdir of a training run.", required=True, flag_values=FLAGS)
flags.DEFINE_string(
    "step", "best", "Checkpoint: best, last, or the number of a step.", flag_values=FLAGS
)
flags.DEFINE_string("host", "127.0.0.1", "The address to listen at.", flag_values=FLAGS)
flags.DEFINE_integer("port", 7860, "The port; 0 for any that is free.", 0, 65535, flag_values=FLAGS)
flags.DEFINE_integer(
    "places",
    200,
    "At how many places, about, a picture is covered for a receptive field; the network runs as "
    "often.",
    1,
    100_000,
    flag_values=FLAGS,
)
process.define_compilation_cache(FLAGS)


def run(arguments: list[str]) -> None:
    """Serve the page until Ctrl-C."""
    expect_arguments(arguments, "", 0)
    pretrained = models.load_pretrained(FLAGS.ckpt, step=FLAGS.step)
    title = f"{Path(FLAGS.ckpt).name}, step {pretrained.step}"
    with make_server(Segmenter(pretrained, FLAGS.places), title, FLAGS.host, FLAGS.port) as server:
        say(f"open http://{FLAGS.host}:{server.server_address[1]} in a browser; Ctrl-C ends it")
        server.serve_forever()
