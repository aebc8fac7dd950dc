"""What is kept of measurements on a GPU: errors of contestants, and the table."""

import pytest

from benchmarks.contestants import Case
from benchmarks.gpu_report import markdown
from benchmarks.served import Served, ServedError

CASE = Case("segnet", 32, 1, "float32")


def test_what_a_contestant_raises_is_its_error():
    with pytest.raises(ServedError, match="KeyError: 'nobody'"):
        Served("nobody", CASE, patience=300)


def test_a_contestant_that_does_not_answer_is_ended():
    with pytest.raises(ServedError, match="no answer in 0 s"):
        Served("gcn_jax", CASE, patience=0)


def timed(step, forward):
    return {
        "date": "2026-11-27T17:00:00+00:00",
        "result": {
            "first_step": 60.0,
            "peak_bytes": 2**30,
            "step": {"median": step},
            "forward": {"median": forward},
        },
    }


def test_the_table_compares_with_the_fastest_pytorch_and_names_failures():
    cells = {
        "segnet-bfloat16-8x512-gcn_jax": timed(0.06, 0.01),
        "segnet-bfloat16-8x512-torch": timed(0.10, 0.02),
        "segnet-bfloat16-8x512-torch.compile": timed(0.08, 0.04),
        "fcn8s_vgg16-bfloat16-8x512-gcn_jax": timed(0.5, 0.1),
        "profile": {
            "date": "2026-11-28T17:00:00+00:00",
            "result": {
                "case": "SegNet",
                "step_seconds": 0.06,
                "operations": {"fusion.1": {"part": "score", "seconds": 0.0125}},
            },
        },
        "dense_crf": {"date": "2026-11-28T17:00:00+00:00", "error": "ImportError: a | b"},
    }
    circumstances = {
        "accelerator": "NVIDIA X",
        "device": "AMD",
        "cores": 8,
        "versions": {"jax": "0.12.0"},
    }
    text = markdown(circumstances, cells, ["camvid"])
    assert text.startswith("# NVIDIA X\n")
    assert "2026-11-27 to 2026-11-28; jax 0.12.0" in text
    assert (
        "| SegNet, bfloat16, 8x512 px, gcn_jax | 60.00 | 0.75 | 10.00 | 0.50 | 60 | 1.00 |" in text
    )
    assert "torch.compile | 80.00 | 1.00 | 40.00 | 2.00 |" in text
    assert "| FCN-8s, bfloat16, 8x512 px, gcn_jax | 500.00 | - | 100.00 | - |" in text
    assert "| fusion.1 | score | 12.500 |" in text
    assert r"| dense_crf | ImportError: a \| b |" in text
    assert "CamVid" not in text
    assert "Not measured yet: camvid." in text
