"""What a person looks at: HTML pages about runs and evaluations, overlays, plots."""

from gcn_jax.report.pages import evaluation_report, open_split, read_config, training_report

__all__ = ["evaluation_report", "open_split", "read_config", "training_report"]
