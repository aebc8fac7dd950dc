"""Pages, pictures and tables for people: about data, runs and evaluations."""

from gcn_jax.report.comparison import comparison_report
from gcn_jax.report.contact_sheet import View, config_view, contact_sheet, split_view
from gcn_jax.report.pages import evaluation_report, training_report
from gcn_jax.report.scores_table import print_scores

__all__ = [
    "View",
    "comparison_report",
    "config_view",
    "contact_sheet",
    "evaluation_report",
    "print_scores",
    "split_view",
    "training_report",
]
