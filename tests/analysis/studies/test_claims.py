"""The claims of the slides, and the verdicts on them by hand."""

import csv
import math

import numpy as np
import pytest

from gcn_jax.analysis.costs.complexity import Cost
from gcn_jax.analysis.studies.claims import (
    CLAIMS,
    claims_csv,
    claims_sheet,
    half_width_of_mean,
    judge,
)
from gcn_jax.analysis.studies.findings import Finding
from gcn_jax.analysis.studies.paper import study


def findings_of(number, scores, metric="miou"):
    """Every cell of a table with the same scores of its seeds, but for those of some labels."""
    usual = next(iter(scores.values()))
    return [
        Finding(
            cell,
            tuple(
                {"seed": seed, metric: value}
                for seed, value in enumerate(scores.get(cell.label, usual))
            ),
            Cost(),
        )
        for cell in study(number).cells
    ]


def test_the_quantiles_are_those_of_printed_tables():
    for freedom, quantile in ((1, 12.706), (2, 4.303), (4, 2.776), (9, 2.262)):
        values = np.arange(freedom + 1.0)
        error = np.std(values, ddof=1) / math.sqrt(len(values))
        assert half_width_of_mean(values) / error == pytest.approx(quantile, abs=5e-4)


@pytest.mark.parametrize("number", CLAIMS)
def test_claims_are_of_cells_of_their_table_and_of_the_paper_s_sign(number):
    labels = [cell.label for cell in study(number).cells]
    assert len({*labels}) == len(labels)
    verdicts = judge(
        CLAIMS[number], findings_of(number, {"": [0.5, 0.5]}, CLAIMS[number][0].metric)
    )
    against = [(v.claim.better, round(v.published, 1)) for v in verdicts if v.published < 0]
    assert against == ([("GCN 5", -0.7)] if number == 3 else [])


def test_verdicts_by_hand():
    conv = [0.60, 0.60, 0.60]
    scores = {
        "Conv 3": conv,
        "GCN 3": [0.61, 0.62, 0.63],  # differences 1, 2, 3: 2 +- 4.303 / sqrt(3)
        "GCN 5": [0.63, 0.64, 0.65],  # 4 +- 2.484
        "GCN 7": [0.55, 0.56, 0.57],  # -4 +- 2.484
        "GCN 9": [0.60, 0.60, None],
    }
    not_seen, reproduced, reversed_, undefined = judge(CLAIMS[2], findings_of(2, scores))
    np.testing.assert_allclose(not_seen.interval, (-0.4841, 4.4841), atol=1e-4)
    np.testing.assert_allclose(reproduced.interval, (1.5159, 6.4841), atol=1e-4)
    words = [one.word for one in (not_seen, reproduced, reversed_, undefined)]
    assert words == ["not seen", "reproduced", "reversed", "no verdict"]
    np.testing.assert_allclose(not_seen.published, 0.3)
    rows = claims_sheet([not_seen, reproduced, reversed_]).rows
    assert rows[0] == (
        [
            "GCN 3 over Conv 3",
            "mIoU",
            "+0.3",
            "+2.0",
            "-0.5 to +4.5",
            "not seen; 2.5 would have been",
        ]
    )
    assert [row[-1] for row in rows[1:]] == ["reproduced", "reversed"]
    lines = list(csv.DictReader(claims_csv("2", [reproduced, undefined]).splitlines()))
    assert float(lines[0]["smallest_effect"]) == pytest.approx(2.4841, abs=1e-4)
    assert (lines[0]["verdict"], lines[1]["low"], lines[1]["seeds"]) == ("reproduced", "", "3")


def test_the_pairs_count_not_the_spread_of_the_seeds():
    """Seeds that differ by 20 points still show a difference of one."""
    scores = {"Conv 3": [0.4, 0.5, 0.6], "GCN 3": [0.41, 0.51, 0.611]}
    assert judge(CLAIMS[2], findings_of(2, scores))[0].word == "reproduced"


def test_one_seed_gets_no_verdict():
    (inside, _) = judge(CLAIMS[5], findings_of(5, {"GCN": [0.9]}, "internal_accuracy"))
    assert inside.word == "no verdict"
    assert claims_sheet([inside]).rows[0][-2:] == ["-", "no verdict of one seed"]
    assert judge([], []) == []
