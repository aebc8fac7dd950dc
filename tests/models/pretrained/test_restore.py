from gcn_jax.models.pretrained.restore import load_pretrained
from gcn_jax.models.pretrained.verify import verify
from tests.helpers.runs import SMALL, write_untrained


def test_reading_a_checkpoint_logs_no_warning(tmp_path, caplog):
    write_untrained(tmp_path / "run", SMALL, step=2, miou=0.1)
    with caplog.at_level("WARNING", logger="absl"):
        load_pretrained(tmp_path / "run")
        assert verify(tmp_path / "run") == {2: None}
    assert [record.getMessage() for record in caplog.records] == []
