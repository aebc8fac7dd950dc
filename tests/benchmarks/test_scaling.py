"""What a pod would take: the arithmetic, by hand."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.scaling import markdown, plan
from benchmarks.tpu_report import CHIPS
from gcn_jax.errors import UserError

ROOT = Path(__file__).parents[2]
REPORT = {
    "network": "gcn_resnet18",
    "program": "train",
    "topology": "v5e:2x2",
    "batch": 16,
    "size": 512,
    "split": "data",
    "dtype": "bfloat16",
    "memory": {"alias": 100 * 2**20, "peak": 3 * 2**29},
    "cost": {"flops": 1.97e12, "bytes accessed": 32.76e9},  # 10 ms, and 40 ms
    "collectives": {"all-reduce": {"count": 50, "padded": 40_000_000}},
}


def test_a_step_is_the_longer_of_memory_and_arithmetic_and_then_the_all_reduces():
    made = plan(REPORT, CHIPS["v5e"], 64)
    assert made.batch == 256
    assert made.compute == pytest.approx(0.040)
    # 2 x 63/64 x 40 MB at 200 GB/s, and 50 times 16 hops of a microsecond.
    assert made.handed_over == pytest.approx(0.00039375 + 0.0008)
    assert made.images_per_second == pytest.approx(256 / 0.04119375)
    assert made.decoded == pytest.approx(256 / 0.04119375 / 8)  # eight hosts of eight chips
    assert made.steps == (1288, 827, 286)
    assert made.hours[0] == pytest.approx(1288 * 0.04119375 / 3600)
    busy = REPORT | {"cost": {"flops": 19.7e12, "bytes accessed": 32.76e9}}
    assert plan(busy, CHIPS["v5e"], 64).compute == pytest.approx(0.1)


def test_one_chip_hands_nothing_over_but_its_hops():
    made = plan(REPORT, CHIPS["v5p"], 1)
    assert made.batch == 4
    assert made.handed_over == pytest.approx(50 * 2e-6)


def test_the_table_and_other_programs():
    text = markdown(REPORT, [8, 256])
    assert "1.50 GiB a chip at the most; state, which a checkpoint holds: 100 MiB" in text
    assert "| 8 | 32 | 40.0 + 0.63 | 788 | 788 (9 cores) |" in text
    with pytest.raises(UserError, match="this is a forward program split by data for v5e:2x2"):
        markdown(REPORT | {"program": "forward"}, [8])
    with pytest.raises(UserError, match="compiled for one of v5e, v5p, v6e"):
        markdown(REPORT | {"topology": "v4:2x2x1"}, [8])


def test_the_command_reads_a_file(tmp_path):
    path = tmp_path / "r.json"
    path.write_text(json.dumps(REPORT))
    words = [sys.executable, "-m", "benchmarks.scaling", str(path), "--chips=64"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "| 64 | 256 |" in done.stdout
