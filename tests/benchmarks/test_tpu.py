"""Programs for TPUs: their formulation, what is read from their text, and the report."""

import importlib.util
import sys

import jax
import pytest

from benchmarks.parts import OUTSIDE
from benchmarks.tpu_program import compile_fitting, lower, read_program, topology
from benchmarks.tpu_report import markdown
from gcn_jax.errors import UserError

#: A program as libtpu prints it; S(1) is memory on the chip, which costs no traffic.
PROGRAM = """\
%fused_computation (param_0: f32[2,8]) -> f32[2,8] {
  %param_0 = f32[16,128]{1,0:T(8,128)} parameter(0)
  ROOT %add.1 = f32[16,128]{1,0:T(8,128)} add(%param_0, %param_0), metadata={op_name="jit(step)/jvp(GCN)/gcn5/add"}
}

ENTRY %main (x: f32[16,21], w: bf16[8,128]) -> f32[16,21] {
  %x = f32[16,21]{1,0:T(8,128)} parameter(0)
  %w = bf16[8,128]{1,0:T(8,128)(2,1)} parameter(1)
  %copy-start.1 = (bf16[8,128]{1,0:T(8,128)(2,1)S(1)}, bf16[8,128]{1,0:T(8,128)(2,1)}, u32[]{:S(2)}) copy-start(%w)
  %copy-done.1 = bf16[8,128]{1,0:T(8,128)(2,1)S(1)} copy-done(%copy-start.1)
  %room = f32[16,128]{1,0:T(8,128)} custom-call(), custom_call_target="AllocateBuffer"
  %fusion.1 = f32[16,21]{1,0:T(8,128)} fusion(%x, %copy-done.1), kind=kLoop, calls=%fused_computation, metadata={op_name="jit(step)/transpose(jvp(GCN))/refine_up1/conv1/conv"}
  %copy.1 = f32[16,21]{0,1:T(8,128)} copy(%fusion.1)
  %all-reduce.1 = f32[16,21]{1,0:T(8,128)} all-reduce(%fusion.1), to_apply=%sum, metadata={op_name="jit(step)/add"}
  ROOT %last = f32[16,21]{1,0:T(8,128)} bitcast(%all-reduce.1)
}
"""  # noqa: E501
#: 16 x 21 values; in tiles with 21 in lanes, and with 16 in lanes.
VALUES, PADDED, TURNED = 16 * 21 * 4, 16 * 128 * 4, 24 * 128 * 4


def test_traffic_is_that_of_operations_that_run_in_the_large_memory():
    program = read_program(PROGRAM)
    assert program["parts"] == {
        # The fusion reads x and what is on the chip; the copy has no name and is the fusion's.
        "refine_up1, backward": {"values": 4 * VALUES, "padded": 3 * PADDED + TURNED},
        OUTSIDE: {
            "values": 2 * VALUES + 8 * 128 * 2,
            "padded": 2 * PADDED + 8 * 128 * 2,
        },
    }
    assert program["arrays"] == {
        "f32[16,21]{1,0:T(8,128)}": {"count": 2, "values": VALUES, "padded": PADDED},
        "f32[16,21]{0,1:T(8,128)}": {"count": 1, "values": VALUES, "padded": TURNED},
    }
    assert program["collectives"] == {"all-reduce": {"count": 1, "padded": PADDED}}


@pytest.fixture
def report():
    return {
        "network": "gcn_resnet18",
        "program": "train",
        "topology": "v5e:2x2",
        "chip": "TPU v5 lite",
        "batch": 16,
        "size": 512,
        "split": "data",
        "dtype": "bfloat16",
        "date": "2026-11-27T17:00:00+00:00",
        "versions": {"jax": "0.12.0"},
        "memory": {"argument": 2**30, "temp": 3 * 2**30},
        "cost": {"flops": 394e9, "bytes accessed": 8.19e9},
        **read_program(PROGRAM),
    }


def test_the_report_divides_by_the_rates_of_the_chip(report):
    text = markdown(report)
    # 394 GFLOP / 197 TFLOP/s, 8.19 GB / 819 GB/s; PROGRAM has less than a microsecond of traffic.
    assert "2.00 ms of arithmetic; 10.00 and 0.00 ms of memory; bound by arithmetic" in text
    assert "argument 1.00, temp 3.00" in text
    assert "| all-reduce | 1 | 0.01 |" in text
    assert text.index("| refine_up1, backward |") < text.index(f"| {OUTSIDE} |")


def test_a_program_is_bound_by_memory_where_both_counts_say_so(report):
    parts = {"gcn5": {"values": 1, "padded": 16_380_000_000}}
    text = markdown(report | {"parts": parts})
    assert "10.00 and 20.00 ms of memory; bound by memory" in text


def test_a_chip_whose_rates_are_unknown_has_no_roofline(report):
    assert "No rates of this chip" in markdown(report | {"topology": "v4:2x2x1"})


def test_the_formulation_is_that_of_a_tpu_also_on_a_cpu():
    """Blocks of pixels at the end; before, inputs of a deconvolution with zeros between pixels."""
    program = lower("_tiny", (8, 32, 32), "float32", jax.devices()).as_text()
    assert "tensor<8x16x16x84xf32>" in program
    assert "lhs_dilate = [2, 2]" in program or "lhs_dilation = array<i64: 2, 2>" in program


@pytest.mark.parametrize(
    ("shape", "how", "message"),
    [
        (
            (8, 96, 64),
            {"split": "height", "train": True},
            "mesh.height=8 parts of a multiple of 32",
        ),
        ((7, 512, 512), {}, "--batch=7 does not divide over 8 chips"),
        ((1, 100, 100), {"split": "height"}, "--size=100 does not divide over 8 chips"),
    ],
)
def test_what_cannot_be_split_gets_one_line(shape, how, message):
    with pytest.raises(UserError, match=message):
        lower("_tiny", shape, "float32", jax.devices(), **how)


needs_libtpu = pytest.mark.skipif(
    sys.version_info < (3, 12) or importlib.util.find_spec("libtpu") is None,
    reason="libtpu is in the extra `tpu`",
)


@needs_libtpu
def test_a_topology_that_is_none_gets_one_line():
    assert len(topology("v5e:2x4")) == 8
    with pytest.raises(UserError, match="--topology=v5e:3x3 is none"):
        topology("v5e:3x3")


@pytest.mark.slow
@needs_libtpu
def test_rows_of_an_image_are_handed_to_neighbours_and_nothing_else():
    compiled = compile_fitting(
        lower("_tiny", (1, 512, 32), "bfloat16", topology("v5e:2x2"), split="height")
    )
    program = read_program(compiled.as_text())
    assert program["collectives"].keys() == {"collective-permute"}
    assert min(program["parts"][part]["padded"] for part in ("gcn2", "deconv4")) > 0


@pytest.mark.slow
@needs_libtpu
def test_a_training_step_of_split_rows_adds_sums_and_gathers_nothing():
    chips = topology("v5e:2x2")
    lowered = lower("_tiny", (1, 512, 32), "bfloat16", chips, split="height", train=True)
    sent = read_program(compile_fitting(lowered).as_text())["collectives"]
    assert sent.keys() == {"collective-permute", "all-reduce"}
