"""Train a network: `python train.py --config configs/quickstart.py`."""

from pathlib import Path

import jax
from absl import flags
from ml_collections import config_flags

from gcn_jax.cli import process
from gcn_jax.errors import UserError
from gcn_jax.training import train_and_evaluate

_CONFIG = config_flags.DEFINE_config_file(
    "config", None, "The settings; --config.key=value changes one.", lock_config=True
)
_WORKDIR = flags.DEFINE_string("workdir", None, "The run's folder; by default runs/<config name>.")
_COORDINATOR = flags.DEFINE_string(
    "coordinator", None, "Several hosts: host:port of the first, or auto (Slurm, TPU pods)."
)
_NUM_PROCESSES = flags.DEFINE_integer("num_processes", None, "Several hosts: how many.")
_PROCESS_ID = flags.DEFINE_integer("process_id", None, "Several hosts: which this is, from 0.")
flags.mark_flag_as_required("config")


def main(argv):
    """Train, or go on, and write the report."""
    if len(argv) > 1:
        raise UserError(f"unexpected argument {argv[1]!r}")
    if _COORDINATOR.value == "auto":
        jax.distributed.initialize()
    elif _COORDINATOR.value:
        jax.distributed.initialize(_COORDINATOR.value, _NUM_PROCESSES.value, _PROCESS_ID.value)
    process.keep_freed_memory()
    path = Path(config_flags.get_config_filename(flags.FLAGS["config"]))
    if not path.exists():
        raise UserError(f"--config={path}: no such file")
    workdir = _WORKDIR.value or str(Path("runs") / path.stem)
    train_and_evaluate(_CONFIG.value, workdir)
    if jax.process_index() == 0:
        from gcn_jax import report  # not sooner: its plotting library would delay the first step

        print(f"report: {report.training_report(workdir)}")


if __name__ == "__main__":
    process.run(main)
