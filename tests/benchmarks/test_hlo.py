"""XLA's text of programs for TPUs: bytes by hand, of shapes that were printed by its compiler."""

import pytest

from benchmarks.hlo import Sent, Shape, collectives, executed, read_operations, read_shapes

#: A program as XLA prints it: a fusion's inside, a loop's, and what runs.
PROGRAM = """\
HloModule jit_train_step, is_scheduled=true

%fused_computation (param_0: f32[2,8]) -> f32[2,8] {
  %param_0 = f32[2,8]{1,0:T(2,128)} parameter(0)
  ROOT %add.1 = f32[2,8]{1,0:T(2,128)} add(%param_0, %param_0)
}

%body.3 (arg: (s32[], f32[8,128])) -> (s32[], f32[8,128]) {
  %arg = (s32[]{:T(128)}, /*index=1*/f32[8,128]{1,0:T(8,128)}) parameter(0)
  ROOT %next = f32[8,128]{1,0:T(8,128)} get-tuple-element(%arg), index=1
}

ENTRY %main.9 (Arg_0.1: f32[2,8], Arg_1.2: bf16[8,4]) -> f32[2,8] {
  %Arg_0.1 = f32[2,8]{1,0:T(2,128)} parameter(0)
  %Arg_1.2 = bf16[8,4]{1,0:T(8,128)(2,1)} parameter(1), sharding={replicated}
  %fusion.1 = (f32[2,8]{1,0:T(2,128)}, bf16[8,4]{1,0:T(8,128)(2,1)S(1)}) fusion(f32[2,8]{1,0:T(2,128)} %Arg_0.1, %Arg_1.2), kind=kLoop, calls=%fused_computation, metadata={op_name="jit(step)/jvp(GCN)/backbone/res4/add" source_line=3}
  %loop = (s32[], f32[8,128]{1,0:T(8,128)}) while(%tuple), condition=%cond.1, body=%body.3
  %all-reduce.1 = (f32[2,8]{1,0:T(2,128)}, bf16[8,4]{1,0:T(8,128)(2,1)}) all-reduce(%Arg_0.1, %Arg_1.2), replica_groups=[1,4]<=[4], to_apply=%sum
  %permute = (bf16[8,4]{1,0:T(8,128)(2,1)}, bf16[8,4]{1,0:T(8,128)(2,1)}, u32[]{:S(2)}, u32[]{:S(2)}) collective-permute-start(%Arg_1.2), source_target_pairs={{0,1}}
  %permute.done = bf16[8,4]{1,0:T(8,128)(2,1)} collective-permute-done(%permute)
  ROOT %last = f32[2,8]{1,0:T(2,128)} negate(%Arg_0.1)
}
"""  # noqa: E501


@pytest.mark.parametrize(
    ("text", "values", "padded"),
    [
        # 21 channels in 128 lanes, 512 columns in tiles of 8.
        ("f32[4,512,512,21]{3,2,1,0:T(8,128)}", 4 * 512 * 512 * 21 * 4, 4 * 512 * 512 * 128 * 4),
        # Axis 0 comes second: 4 images take 8 places.
        ("f32[4,512,512,21]{3,0,2,1:T(8,128)}", 4 * 512 * 512 * 21 * 4, 512 * 512 * 8 * 128 * 4),
        # Pixels in lanes, channels in tiles of 8: 21 take 24.
        ("bf16[4,21,100]{2,1,0:T(8,128)(2,1)}", 4 * 21 * 100 * 2, 4 * 24 * 128 * 2),
        # One axis, in tiles of tiles.
        ("bf16[64]{0:T(256)(128)(2,1)}", 64 * 2, 256 * 2),
        # A tile with more axes than the array, and an array without any.
        ("f32[21]{0:T(8,128)}", 21 * 4, 8 * 128 * 4),
        ("s32[]{:T(128)}", 4, 128 * 4),
        # Nothing is said of tiles: a CPU or a GPU.
        ("f32[2,3]{1,0}", 24, 24),
        ("pred[3]", 3, 3),
        # Half a byte a value; a length that is known when it runs.
        ("s4[8,128]{1,0:T(8,128)E(4)}", 512, 512),
        ("f8e4m3fn[<=16,2]{1,0}", 32, 32),
        ("token[]", 0, 0),
    ],
)
def test_bytes_of_an_array_with_and_without_padding(text, values, padded):
    assert read_shapes(text) == (Shape(text, values, padded, 0),)


def test_a_tuple_has_the_arrays_of_its_tuples_and_their_memories():
    text = "((f32[8,128]{1,0:T(8,128)S(1)}), bf16[2]{0:T(256)(128)(2,1)}, u32[]{:S(2)})"
    assert [(s.padded, s.space) for s in read_shapes(text)] == [(4096, 1), (512, 0), (4, 2)]


def test_operations_are_read_with_shapes_operands_and_names():
    operations = {operation.name: operation for operation in read_operations(PROGRAM)}
    fusion = operations["fusion.1"]
    assert fusion.computation == "main.9"
    assert fusion.kind == "fusion"
    assert [(shape.padded, shape.space) for shape in fusion.shapes] == [(1024, 0), (2048, 1)]
    assert fusion.operands == ("Arg_0.1", "Arg_1.2")
    assert fusion.op_name == "jit(step)/jvp(GCN)/backbone/res4/add"
    assert operations["arg"].shapes[1].padded == 8 * 128 * 4
    assert operations["next"].computation == "body.3"
    assert operations["last"].op_name == ""


def test_the_inside_of_a_fusion_does_not_run_by_itself():
    assert executed(PROGRAM) == {"main.9", "body.3", "cond.1"}


def test_collectives_are_counted_with_the_bytes_that_a_device_hands_over():
    assert collectives(PROGRAM) == {
        "all-reduce": Sent(1, 2 * 128 * 4 + 8 * 128 * 2),
        "collective-permute": Sent(1, 8 * 128 * 2),
    }
