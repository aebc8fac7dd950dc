"""Budgets that are doubled: the rule, its words, and the runs that it makes; rates by trial."""

import json

import numpy as np
import pytest

from gcn_jax.analysis.costs.complexity import Cost
from gcn_jax.analysis.studies import series as series_module
from gcn_jax.analysis.studies.budgets import Curves, doublings, train_until_flat
from gcn_jax.analysis.studies.cells import CellRunner
from gcn_jax.analysis.studies.findings import Finding
from gcn_jax.analysis.studies.paper import study
from gcn_jax.analysis.studies.plots import plot_budgets
from gcn_jax.analysis.studies.rates import TRIAL_SEED, trials, tune_rates
from gcn_jax.analysis.studies.runner import Job
from gcn_jax.analysis.studies.series import Series
from gcn_jax.errors import UserError
from gcn_jax.training.loop import DivergedError
from gcn_jax.workdir import InUseError

CELLS = study(5).cells


class FakeRunner(CellRunner):
    """Gives scores by a rule in place of training, and keeps which runs it was asked for."""

    def __init__(self, folder, miou):
        super().__init__("shapes", folder)
        self._miou, self.asked = miou, []

    def run(self, job):
        self.asked.append(job)
        steps = self.config(*job).num_steps
        miou = self._miou(job)
        return {
            "seed": job.seed, "steps": steps, "miou": miou, "train_miou": miou,
            "seconds_of_training": 2.0 * steps,
        }  # fmt: skip


@pytest.fixture(autouse=True)
def no_costs(monkeypatch):
    monkeypatch.setattr(series_module, "cost", lambda config: Cost())


def test_steps_are_doubled_up_to_the_most():
    assert doublings(600, 1200) == [1, 2]
    assert doublings(600, 4799) == [1, 2, 4]
    assert doublings(600, 4800) == [1, 2, 4, 8]
    with pytest.raises(UserError, match="--max_steps=1199 allows no doubling of 600 steps; give"):
        doublings(600, 1199)


def test_training_ends_where_no_network_gains(tmp_path):
    gains = {1: 0.0, 2: 0.05, 4: 0.09, 8: 0.093, 16: 0.5}
    runner = FakeRunner(
        tmp_path, lambda job: 0.5 + gains[job.budget] * (job.contestant.label == "GCN")
    )
    curves = train_until_flat(Series(runner), CELLS, 2, [1, 2, 4, 8, 16], 0.5)
    assert list(curves.by_steps) == [600, 1200, 2400, 4800]
    assert curves.is_flat
    assert curves.note == (
        "Flat: from 2,400 to 4,800 steps no network gains more than 0.5 points (GCN, +0.3)."
    )
    assert len(runner.asked) == 4 * 2 * 3
    assert len(curves.csv().splitlines()) == 1 + 4 * 2 * 3
    text = plot_budgets(curves)
    for label in ("GCN + BR", "training images", "4,800"):
        assert label in text


def test_the_most_steps_end_it_too(tmp_path):
    runner = FakeRunner(tmp_path, lambda job: 0.1 * job.budget)
    curves = train_until_flat(Series(runner), CELLS, 1, [1, 2, 4], 0.5)
    assert not curves.is_flat
    assert curves.note.startswith("Not flat: --max_steps is reached, and from 1,200 to 2,400 steps")
    assert "more than 0.5 points (Baseline, +20.0)" in curves.note


def test_a_miou_that_is_not_defined_is_not_flat():
    def found(miou):
        return [Finding(CELLS[0], ({"seed": 0, "miou": miou},), Cost())]

    assert not Curves({1: found(0.5), 2: found(None)}, 0.5).is_flat
    assert not Curves({1: found(0.5)}, 0.5).is_flat


def test_it_says_how_long_is_left(tmp_path, capsys):
    series = Series(FakeRunner(tmp_path, lambda job: 0.5))
    jobs = [Job(cell, 0, budget) for budget in (1, 2) for cell in CELLS]
    series.plan(jobs)
    assert series.left_text() == "at most 6 runs left"
    series.run(jobs[0])
    # 600 + 600 + 3 * 1200 steps of 2 seconds
    said = "Baseline, seed 0, 600 steps: mIoU val 50.0, train 50.0; at most 5 runs and 2 h 40 min"
    assert capsys.readouterr().out == f"{said} left\n"


def test_budgets_and_rates_have_folders_of_their_own(tmp_path):
    runner, cell = CellRunner("shapes", tmp_path), CELLS[1]
    for job, folder in (
        (Job(cell, 0), "gcn_k15_seed0"),
        (Job(cell, 1, 4), "4x_steps/gcn_k15_seed1"),
        (Job(cell, 0, 2, 0.5), "2x_steps_0.5x_rate/gcn_k15_seed0"),
    ):
        path = tmp_path / "shapes" / folder
        path.mkdir(parents=True)
        assert not runner.is_finished(job)
        (path / "gcn_k15.json").write_text("{}")
        assert runner.is_finished(job)
    config = runner.config(cell, 0, budget=4, rate=0.5)
    assert (config.num_steps, config.eval_every) == (2400, 2400)
    assert config.optimizer.learning_rate == pytest.approx(0.05)


def test_every_network_gets_its_best_rate(tmp_path, capsys):
    (tmp_path / "shapes").mkdir()
    best = {"Baseline": 1.0, "GCN": 2.0, "GCN + BR": 0.5}

    def miou(job):
        if job.rate == 4:
            raise DivergedError("the loss is nan")
        return 0.6 - 0.1 * abs(job.rate - best[job.contestant.label])

    runner, factors = FakeRunner(tmp_path, miou), [0.5, 1.0, 2.0, 4.0]
    series = Series(runner)
    rates = tune_rates(series, CELLS, factors)
    assert rates == {"baseline": 1.0, "gcn_k15": 2.0, "gcn_k15_br": 0.5}
    assert runner.asked == trials(CELLS, factors)
    assert {(job.seed, job.budget) for job in runner.asked} == {(TRIAL_SEED, 1)}
    kept = json.loads((tmp_path / "shapes/rates.json").read_text())
    assert kept["gcn_k15"]["best"] == 2
    assert kept["gcn_k15"]["miou"]["4"] is None
    runner.asked.clear()
    assert tune_rates(series, CELLS, factors) == rates
    assert 4.0 not in {job.rate for job in runner.asked}  # what diverged is not tried again
    findings = series.findings(CELLS, 1, rates=rates)
    assert [finding.rate for finding in findings] == pytest.approx([0.1, 0.2, 0.05])


def test_processes_share_runs_and_wait_for_each_other(tmp_path, monkeypatch):
    """Here GCN is another process's, for as long as this one has something else to do."""
    others = {"GCN"}
    naps = []

    def nap(seconds):
        naps.append(seconds)
        others.clear()

    def miou(job):
        if job.contestant.label in others:
            raise InUseError("it is being written")
        return 0.1 * len(job.contestant.label)

    monkeypatch.setattr(series_module.time, "sleep", nap)
    runner = FakeRunner(tmp_path, miou)
    findings = Series(runner).findings(CELLS, 2)
    assert len(naps) == 1
    scores = [[result["miou"] for result in finding.results] for finding in findings]
    np.testing.assert_allclose(scores, [[0.8, 0.8], [0.3, 0.3], [0.8, 0.8]])
    asked = [job.contestant.label for job in runner.asked]
    assert asked == ["Baseline", "GCN", "GCN + BR"] * 2 + ["GCN"] * 4


def test_a_stage_waits_for_the_one_before(tmp_path):
    runner = CellRunner("shapes", tmp_path)
    first, *others = [cell for cell in study(7).cells if cell.boundary_refinement]
    assert (first.stage, [one.stage for one in others]) == (1, [2, 3, 3, 3])
    assert runner.is_ready(Job(first, 0))
    assert not any(runner.is_ready(Job(cell, 0)) for cell in others)
    for stage in (1, 2):
        (cell,) = [one for one in (first, *others) if one.stage == stage]
        folder = runner.workdir(Job(cell, 0))
        folder.mkdir(parents=True)
        (folder / f"{cell.name}.json").write_text("{}")
        ready = {one.stage for one in others if runner.is_ready(Job(one, 0))}
        assert ready == set(range(2, stage + 2))
    assert {one.inference for one in others} == {"single", "ms", "ms_crf"}
    assert not runner.is_ready(Job(others[0], 1))


def test_rates_that_all_diverge_are_the_user_s_to_mend(tmp_path):
    def diverge(job):
        raise DivergedError("the loss is nan at step 3")

    (tmp_path / "shapes").mkdir()
    for _ in range(2):
        with pytest.raises(UserError, match="the loss is nan at step 3"):
            tune_rates(Series(FakeRunner(tmp_path, diverge)), CELLS, [1.0, 2.0])
