"""A training on slices of TPUs, on paper: numbers that were computed by hand."""

import json

import pytest

from benchmarks.scaling import count_state, read_report
from benchmarks.scaling_report import markdown
from benchmarks.scaling_rules import Slice, State, all_reduce, estimate, read_slice
from gcn_jax.errors import UserError

#: 4 images a chip; 197 GFLOP and 8.19 GB take a v5e 1 and 10 ms.
REPORT = {
    "network": "gcn_resnet18",
    "program": "train",
    "topology": "v5e:2x2",
    "batch": 16,
    "size": 512,
    "split": "data",
    "dtype": "bfloat16",
    "date": "2026-11-28T01:13:14+00:00",
    "memory": {"argument": 2**30, "output": 2**30, "alias": 2**29, "temp": 2**31, "peak": 2**31},
    "cost": {"flops": 197e9, "bytes accessed": 4.095e9},
    "parts": {"gcn2": {"values": 1, "padded": 8_000_000_000}, "res2": {"padded": 190_000_000}},
    "collectives": {"all-reduce": {"count": 36, "padded": 56_000_000}},
}
STATE = State(parameters=80_000_000, statistics=40_000, norms=20, all=160_000_000)


@pytest.mark.parametrize(
    ("name", "chips", "torus", "milliseconds"),
    [
        # 2 x 80 MB x 7/8 over 100 GB/s, half of the links; 2 x (1 + 3) hops of 1 us.
        ("v5e:2x4", 8, False, 1.4 + 0.008),
        # 2 x 80 MB x 255/256 over 200 GB/s; 2 x (8 + 8) hops.
        ("v5e:16x16", 256, True, 0.796875 + 0.032),
        # 2 x 80 MB x 63/64 over 600 GB/s; 2 x (2 + 2 + 2) hops.
        ("v5p:4x4x4", 64, True, 0.2625 + 0.012),
        # One axis of 2: no torus. 2 x 80 MB x 31/32 over 300 GB/s; 2 x (1 + 3 + 3) hops.
        ("v5p:2x4x4", 32, False, 0.51666667 + 0.014),
        ("v5e:1x1", 1, False, 0.0),
    ],
)
def test_an_all_reduce_sends_the_bytes_twice_over_the_links_that_corners_have(
    name, chips, torus, milliseconds
):
    of = read_slice(name)
    assert (str(of), of.chips, of.is_torus) == (name, chips, torus)
    assert 1e3 * all_reduce(80e6, of) == pytest.approx(milliseconds)


def test_many_small_sums_cost_hops():
    # 40 sums of nothing; on 16 x 16 each goes 8 + 8 hops out and back.
    assert all_reduce(0, Slice("v5e", (16, 16)), 40) == pytest.approx(40 * 32e-6)


def test_a_step_is_the_longer_of_arithmetic_and_traffic_and_then_the_gradients():
    found = estimate(REPORT, STATE, read_slice("v5e:2x4"))
    assert found.memory == 3.5 * 2**30
    assert (found.batch, found.hosts) == (32, 1)
    assert found.arithmetic == pytest.approx(1e-3)
    assert found.traffic == pytest.approx(10e-3)  # the parts: more than XLA's own count
    assert found.step == pytest.approx(11.408e-3)
    assert found.host == pytest.approx(32 / 11.408e-3)
    # 40 sums of 80 kB in all: 2 x 80 kB x 7/8 over 100 GB/s, and 40 x 2 x (1 + 3) hops.
    assert found.statistics == pytest.approx(1.4e-6 + 320e-6)


def test_hosts_of_a_v5p_have_four_chips():
    found = estimate(REPORT, STATE, read_slice("v5p:4x4x4"))
    assert (found.batch, found.hosts) == (256, 16)
    assert found.traffic == pytest.approx(8.19 / 2765)
    assert found.host == pytest.approx(16 / found.step)


def test_hours_are_those_of_the_images_of_a_stage():
    found = estimate(REPORT, STATE, read_slice("v5e:2x4"))
    # 3,600,000 images: 112,500 steps of 11.408 ms.
    assert found.hours(3_600_000) == pytest.approx(112_500 * 11.408e-3 / 3600)
    # Twice the pixels double 10 ms and leave the gradients' 1.408 as they are.
    assert found.hours(3_600_000, 2.0) == pytest.approx(112_500 * 21.408e-3 / 3600)


def test_the_table_has_a_column_for_each_slice_and_marks_what_was_not_compiled():
    text = markdown(REPORT, STATE, [read_slice("v5e:2x4"), read_slice("v5p:4x4x4")], 100.0)
    assert "|  | v5e:2x4 | v5p:4x4x4 * |" in text
    assert "| step, ms | 11.41 | 3.24 |" in text
    assert "| images/s a host decodes | 2,805 | 4,944 |" in text
    assert "| cores for that, of vCPUs | 29, 224 | 50, 208 |" in text
    assert "| stage 2, steps | 6,614 | 827 |" in text  # 20 x 10,582 images
    assert "| stage 2, rate | 3.2e-04 | 2.6e-03 |" in text  # 1e-5 an image
    assert "v5e's program at the rates of another chip: not compiled for it" in text
    assert "\\*" not in markdown(REPORT, STATE, [read_slice("v5e:2x4")], 100.0)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("v4:2x2x1", "the kinds that are known here are v5e, v5p"),
        ("v5e:2x2x2", "chips of v5e lie along 2 axes, such as v5e:4x4"),
        ("v5p:2x0x2", "along 3 axes, such as v5p:4x4x4"),
        ("v5e", "along 2 axes"),
    ],
)
def test_a_slice_that_is_none_gets_one_line(name, message):
    with pytest.raises(UserError, match=message):
        read_slice(name)


def test_a_file_that_is_no_report_of_a_training_step_gets_one_line(tmp_path):
    file = tmp_path / "report.json"
    with pytest.raises(UserError, match=r"report\.json: No such file"):
        read_report(str(file))
    file.write_text("{")
    with pytest.raises(UserError, match="is no JSON"):
        read_report(str(file))
    file.write_text(json.dumps(REPORT | {"program": "forward"}))
    with pytest.raises(UserError, match="is not about a training step"):
        read_report(str(file))
    file.write_text(json.dumps(REPORT | {"split": "height", "batch": 1}))
    with pytest.raises(UserError, match="is about images split by rows"):
        read_report(str(file))
    file.write_text(json.dumps(REPORT))
    assert read_report(str(file)) == REPORT


def test_a_state_is_counted_without_being_made():
    state = count_state("_tiny")
    # Parameters, as much momentum, the statistics, and two counters of steps.
    assert state.all == 2 * state.parameters + state.statistics + 8
    assert state.norms > 0 < state.statistics
