"""The parts of a step: what a compiled program's text says, and that they add up to the step."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from benchmarks.ceilings import Operation, measure, read_operations
from benchmarks.contestants import Program
from benchmarks.parts import OUTSIDE, part_of, part_of_operation
from gcn_jax import models
from gcn_jax.analysis.costs.complexity import program_flops
from gcn_jax.models.layers import plain_formulation
from gcn_jax.training.state import create_state
from gcn_jax.training.step import make_train_step

#: A program as XLA prints it: a fusion's inside, a loop's, and what runs. @ stands for the names.
PROGRAM = """\
HloModule jit_train_step, is_scheduled=true

%fused_computation (param_0: f32[2,8]) -> f32[2,8] {
  %param_0 = f32[2,8]{1,0} parameter(0)
  ROOT %add.1 = f32[2,8]{1,0} add(%param_0, %param_0), @add
}

%body.3 (arg: (s32[], f32[100,8])) -> (s32[], f32[100,8]) {
  %arg = (s32[], f32[100,8]{1,0}) parameter(0)
  %rows = f32[100,8]{1,0} get-tuple-element(%arg), index=1
  %dot.2 = f32[8,8]{1,0} dot(%rows, %rows), @transpose(jvp(GCN))/br1/conv1/while/body/dot_general
}

ENTRY %main.9 (Arg_0.1: f32[2,8], Arg_1.2: bf16[8,4]) -> (f32[2,4], pred[3]) {
  %Arg_0.1 = f32[2,8]{1,0} parameter(0)
  %Arg_1.2 = bf16[8,4]{1,0} parameter(1)
  %fusion.1 = f32[2,8]{1,0} fusion(%Arg_0.1), kind=kLoop, @jvp(GCN)/backbone/res4_block2/bn1/add
  %loop = (s32[], f32[100,8]{1,0}) while(%tuple), condition=%cond.1, body=%body.3
  %dot.1 = (f32[2,4]{1,0}, pred[3]{0}) dot(%fusion.1, %Arg_1.2), @jvp(GCN)/GCN._score/gcn5/dot
  %dot.7 = f32[2,2]{1,0} dot(%dot.1, %fusion.1)
  ROOT %lone = f32[] negate(%constant), @jvp(jit(log_softmax))/neg
}
"""


def test_operations_have_the_part_and_the_bytes_of_the_compiled_text():
    text = re.sub("@(.*)", r'metadata={op_name="jit(train_step)/\1"}', PROGRAM)
    operations = read_operations(text)
    assert operations["fusion.1"] == Operation("backbone/res4", 2 * 2 * 8 * 4)
    assert operations["dot.1"] == Operation("gcn5", (2 * 4 * 4 + 3) + 2 * 8 * 4 + 8 * 4 * 2)
    assert operations["dot.2"] == Operation("br1, backward", 2 * 8 * 8 * 4)  # in a loop
    assert operations["dot.7"].part == "backbone/res4"  # without a name: as what it reads
    assert operations["lone"] == Operation(OUTSIDE, 4)
    assert "loop" not in operations  # its inside is timed


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("jvp(SegNet)/jit(_where)", "(between modules)"),
        ("transpose(jvp(FCN))/backbone/backbone.stage/stage1/conv2", "backbone/stage1, backward"),
        ("GCN/GCN._compute_logits/GCN._score/GCN._refine/refine4/conv2", "refine4"),
        ("jvp(jit(log_softmax))", OUTSIDE),
        ("jvp()", OUTSIDE),
        ("mul", OUTSIDE),
    ],
)
def test_names_tell_the_part(name, part):
    assert part_of(name) == part


@pytest.mark.parametrize(
    ("op_name", "part"),
    [
        (
            "jit(<lambda>)/GCN/GCN._compute_logits/backbone/jit(relu)/max",
            "backbone/(between modules)",
        ),
        ("jit(step)/transpose(jvp(GCN))/gcn5/dot", "gcn5, backward"),
        ("jit(<lambda>)/sub", OUTSIDE),
        ("variables['params']['conv1']['bias']", None),
    ],
)
def test_names_of_operations_tell_the_part(op_name, part):
    assert part_of_operation(op_name) == part


@pytest.mark.slow
def test_parts_of_a_step_hold_all_its_operations():
    model = models.create_model("gcn_plain4", num_classes=3, kernel_size=3)
    tx = optax.sgd(0.1)
    step = make_train_step(model, tx, mean=np.zeros(3), std=np.ones(3), seed=0)
    state = create_state(model, tx, jax.random.key(0), ema=False)
    labels = jnp.ones((1, 16, 16), jnp.uint8)
    batch = {"image": jnp.ones((*labels.shape, 3), jnp.uint8), "label": labels}
    with plain_formulation():
        flops = program_flops(lambda *args: step(*args), state, batch)
    jitted = jax.jit(step, donate_argnums=0)
    seconds, shares, longest = measure(Program(jitted, None, state, batch), repeats=2)
    assert sum(share.flops for share in shares.values()) == pytest.approx(flops, rel=1e-3)
    for part in ("backbone/conv4", "backbone/conv4, backward", "gcn4", "gcn4, backward"):
        assert shares[part].seconds > 0, part
        assert shares[part].moved > 0, part
    assert seconds > 0
    assert len(longest) == 10
    assert all(operation["part"] in shares for operation in longest.values())
