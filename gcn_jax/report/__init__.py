"""What a person looks at: HTML pages about runs and evaluations, overlays, plots, the terminal."""

from gcn_jax.report.pages import evaluation_report, open_split, read_config, training_report
from gcn_jax.report.terminal import print_scores, progress_bar

__all__ = [
    "evaluation_report",
    "open_split",
    "print_scores",
    "progress_bar",
    "read_config",
    "training_report",
]
