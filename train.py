"""Train a network: `python train.py --config configs/quickstart.py`."""

from pathlib import Path

from absl import flags
from ml_collections import config_flags

from gcn_jax import cli, report
from gcn_jax.errors import UserError
from gcn_jax.training import train_and_evaluate

_CONFIG = config_flags.DEFINE_config_file(
    "config", None, "The settings; --config.key=value changes one.", lock_config=True
)
_WORKDIR = flags.DEFINE_string("workdir", None, "The run's folder; by default runs/<config name>.")
flags.mark_flag_as_required("config")


def main(argv):
    """Train, or go on, and write the report."""
    del argv
    path = Path(config_flags.get_config_filename(flags.FLAGS["config"]))
    if not path.exists():
        raise UserError(f"--config={path}: no such file")
    workdir = _WORKDIR.value or str(Path("runs") / path.stem)
    train_and_evaluate(_CONFIG.value, workdir)
    print(f"report: {report.training_report(workdir)}")


if __name__ == "__main__":
    cli.run(main)
