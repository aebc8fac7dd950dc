"""Train a network, or go on with a run, and write its report.

    gcn-jax train --config quickstart
    gcn-jax train --config configs/camvid.py --config.optimizer.learning_rate=0.01 --workdir runs/a

--dry_run looks at everything that the run needs, prepares what data sets lie there, and stops.
The workdir holds checkpoints; the same command goes on from the newest. Every setting and its
default is in gcn_jax/training/config.py. On several hosts the same command is started on each,
with --coordinator; exit code 75 says that one of them is gone or did not come.
"""

import contextlib
import sys
from pathlib import Path

from absl import flags

from gcn_jax.cli import process
from gcn_jax.cli.config_flag import define_config
from gcn_jax.cli.flags import expect_arguments
from gcn_jax.errors import UserError
from gcn_jax.terminal import printable, say

FLAGS = flags.FlagValues()
CONFIG = define_config(FLAGS, "The settings of the run.", required=True)
flags.DEFINE_string(
    "workdir", None, "The run's folder; by default runs/<config name>.", flag_values=FLAGS
)
flags.DEFINE_string(
    "coordinator",
    None,
    "Several hosts: host:port of the first, or auto (Slurm, TPU pods).",
    flag_values=FLAGS,
)
flags.DEFINE_integer("num_processes", None, "Several hosts: how many.", 1, flag_values=FLAGS)
flags.DEFINE_integer(
    "process_id", None, "Several hosts: which this is, from 0.", 0, flag_values=FLAGS
)
flags.DEFINE_integer(
    "patience", 300, "Several hosts: seconds to wait until all are there.", 1, flag_values=FLAGS
)
flags.DEFINE_bool("dry_run", False, "Check all that the run needs, and stop.", flag_values=FLAGS)
process.define_compilation_cache(FLAGS)


def run(arguments: list[str]) -> None:
    """Train and write the report."""
    import jax  # not sooner: --help needs neither of these

    from gcn_jax.training import train_and_evaluate

    expect_arguments(arguments, "", 0)
    workdir = FLAGS.workdir or str(Path("runs") / CONFIG.name)
    if not FLAGS.coordinator or FLAGS.dry_run:
        _check_needs(workdir)
    if FLAGS.dry_run:
        return
    with _together(workdir) if FLAGS.coordinator else contextlib.nullcontext():
        process.keep_freed_memory()
        command = ["gcn-jax", "train", *process.typed_words()]
        train_and_evaluate(CONFIG.value, workdir, command)
        if jax.process_index() == 0:
            _write_report(workdir)


def _write_report(workdir: str) -> None:
    """Write the page about a run that has ended; where a signal comes, say how to write it."""
    from gcn_jax.training.interruption import Interruption

    later = f"everything is saved, and `gcn-jax report --ckpt {printable(workdir)}` writes it"
    with (
        Interruption() as interruption,
        interruption.nothing_to_save(f"while the report was written; {later}"),
    ):
        from gcn_jax import report  # not sooner: its plotting library delays the first step

        say(f"report: {report.training_report(workdir)}")


def _check_needs(workdir: str) -> None:
    """Say all that is missing before the run begins."""
    from gcn_jax.training.preflight import check_disk, missing

    needs = missing(CONFIG.value, workdir)
    if len(needs) == 1:
        raise needs[0].problem
    for number, (what, problem) in enumerate(needs, 1):
        print(printable(f"{number}. {what}: {problem}"), file=sys.stderr)
    if needs:
        raise UserError(f"{len(needs)} things that this run needs are missing; see above")
    if FLAGS.dry_run:
        check_disk(CONFIG.value, workdir)
        say("nothing is missing")


def _together(workdir: str) -> contextlib.AbstractContextManager[None]:
    """Wait for the other processes of the run, and end when one of them is lost."""
    from gcn_jax.training import processes

    address = None if FLAGS.coordinator == "auto" else FLAGS.coordinator
    who = processes.Who(address, FLAGS.num_processes, FLAGS.process_id)
    return processes.together(Path(workdir), who, FLAGS.patience)
