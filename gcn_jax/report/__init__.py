"""What a person looks at: HTML pages about data, runs and evaluations, overlays, the terminal."""

from gcn_jax.report.contact_sheet import contact_sheet
from gcn_jax.report.pages import evaluation_report, training_report
from gcn_jax.report.scores_table import print_scores
from gcn_jax.report.views import View, config_view, split_view

__all__ = [
    "View",
    "config_view",
    "contact_sheet",
    "evaluation_report",
    "print_scores",
    "split_view",
    "training_report",
]
