"""Means and spreads over seeds, and counts by the distance to the cue."""

import numpy as np

from gcn_jax.analysis.costs.complexity import Cost
from gcn_jax.analysis.studies.findings import Finding, accuracy_by_cue, counted_note, time_note
from gcn_jax.analysis.studies.paper import study


def test_accuracy_by_cue_of_all_seeds_and_of_no_pixel():
    results = ({"cue": [[4, 0, 1], [1, 0, 1]]}, {"cue": [[6, 0, 0], [4, 0, 0]]})
    pixels, share = accuracy_by_cue(results)
    assert pixels.tolist() == [10, 0, 1]
    np.testing.assert_array_equal(share, [0.5, np.nan, 1])


def test_mean_and_spread_by_hand():
    results = tuple({"miou": miou} for miou in (0.5, 0.6, 0.7))
    finding = Finding(study(1).cells[0], results, Cost())
    np.testing.assert_allclose(finding.mean_and_spread("miou"), (60, 10))
    assert finding.mean_text("miou") == "60.0 ± 10.0"
    for results in ([None], [None, 0.5]):  # no pixel was far from a border
        finding = Finding(study(5).cells[0], tuple({"miou": miou} for miou in results), Cost())
        assert finding.mean_text("miou") == "-"
        assert np.isnan(finding.mean_and_spread("miou")[0])


def test_old_results_tell_the_classes_without_an_iou():
    result = {"per_class_iou": {"road": 0.5, "bus": None}}
    note = counted_note([Finding(study(1).cells[0], (result,), Cost())])
    assert note == "mIoU over 1 of 2 classes; absent from the truth: bus"
    cell = study(1).cells[0]
    seeds = [result | {"boundary_iou_num_classes_counted": count} for count in (1, 2)]
    note = counted_note([Finding(cell, tuple(seeds), Cost())], boundary=True)
    assert note.startswith("mIoU over 1 of 2 classes, Boundary IoU over 1 to 2 of 2 classes; ")
    # Old results do not say it.
    assert "Boundary" not in counted_note([Finding(cell, (result,), Cost())], boundary=True)


def test_the_time_of_all_runs_and_at_the_least_where_some_were_interrupted():
    def findings(*seconds):
        results = tuple({"seconds_of_training": each} for each in seconds)
        return [Finding(study(1).cells[0], results, Cost())] * 2

    assert time_note(findings(3600.0, 2400.0)) == "Trained in 3 h 20 min"
    assert time_note(findings(3600.0, None)) == "Trained in at least 2 h 0 min"
    assert time_note(findings(None)) == ""
