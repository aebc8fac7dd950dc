"""The paper's tables as data."""

import pytest

from gcn_jax.analysis.studies.paper import STUDIES, study
from gcn_jax.errors import UserError


def published(number, row):
    return [cell.published["miou"] for cell in study(number).cells if cell.row == row]


def test_the_paper_s_scores_are_those_of_the_slides():
    assert published(1, "baseline") + published(1, "GCN") == [
        69.0, 70.1, 71.1, 72.8, 73.4, 73.7, 74.0, 74.5,
    ]  # fmt: skip
    assert published(2, "GCN") == [70.1, 71.1, 72.8, 73.4]
    assert published(2, "Conv") == [69.8, 70.4, 69.6, 68.8]
    assert published(3, "GCN") == [70.1, 71.1, 72.8, 73.4, 73.7]
    assert published(3, "Stack") == [69.8, 71.8, 71.3, 69.5, 67.5]
    assert published(4, "Stack") + published(4, "GCN") == [71.3, 70.4, 68.8, 72.8]
    assert [tuple(cell.published.values()) for cell in study(5).cells] == [
        (71.3, 93.9, 69.0), (71.5, 95.0, 74.5), (73.4, 95.1, 74.7),
    ]  # fmt: skip
    assert published(7, "Baseline") == [69.6, 72.4, 74.0]
    assert published(7, "GCN") == [74.1, 77.6, 78.7]
    assert published(7, "GCN + BR") == [75.0, 78.6, 80.3, 80.4, 81.0]


def test_one_name_stands_for_one_network():
    networks = {}
    for cell in (cell for one in STUDIES.values() for cell in one.cells):
        fields = (cell.model_fields, cell.stack_channels(512), cell.stage)
        assert networks.setdefault(cell.run_name, fields) == fields
    # Tables 1 to 5: baseline, GCN at seven k, Conv at four, Stack at five and two m, GCN + BR.
    assert len([name for name in networks if "stage" not in name]) == 20


def test_a_stack_s_channels_are_a_share_of_the_backbone_s():
    stacks = [cell for cell in study(4).cells if cell.head == "stack"]
    assert [cell.stack_channels(2048) for cell in stacks] == [2048, 1024, 210]
    assert [cell.stack_channels(96) for cell in stacks] == [96, 48, 10]


def test_the_paper_s_counts_of_parameters_are_those_of_the_slides():
    counts = {
        number: [cell.published.get("parameters") for cell in study(number).cells]
        for number in (2, 4)
    }
    assert counts == {
        2: ["260K", "434K", "608K", "782K", "387K", "1075K", "2107K", "3484K"],
        4: ["75885K", "28505K", "4307K", "608K"],
    }


def test_there_is_no_table_6():
    with pytest.raises(UserError, match="there is no table 6; choose one of 1, 2, 3, 4, 5, 7"):
        study(6)
