"""Which states of trials are kept, and from which epochs a trial may go on."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest
from optuna.study import Study
from optuna.trial import Trial, TrialState

from peftsearch.core.config import TrialConfig
from peftsearch.core.files.run_folder import RunFolder
from peftsearch.storage.database import open_study
from peftsearch.storage.kept.front_checkpoints import delete_dominated
from peftsearch.storage.kept.paused_states import delete_ended, earlier_epochs
from peftsearch.storage.liveness.recovery import put_back, reclaim, retry
from peftsearch.storage.trial_attributes import assign_worker, read_curve, write_config, write_curve
from tests.helpers.fake_trainer import epoch_report
from tests.helpers.workers import dead_worker


@pytest.fixture
def study() -> Study:
    return open_study(optuna.storages.InMemoryStorage(), "x", ["macro_f1"])


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "x")


def config_of(method: str = "full") -> TrialConfig:
    return TrialConfig("tiny", method)


def begun(study: Study, folder: RunFolder, epochs: int, method: str = "full", state: bool = True) -> Trial:
    """A running trial with this many epochs, perhaps with a state."""
    trial, config = study.ask(), config_of(method)
    write_config(trial, config)
    if epochs:
        write_curve(trial, [epoch_report(config, epoch) for epoch in range(1, epochs + 1)])
    if state:
        folder.paused.mkdir(parents=True, exist_ok=True)
        folder.paused_state(config.key()).touch()
    return trial


def names(folder: RunFolder) -> set[str]:
    return {path.name for path in folder.paused.iterdir()}


def test_the_epochs_of_a_trial_with_a_state_are_gone_on_from(study: Study, folder: RunFolder) -> None:
    trial = begun(study, folder, epochs=2)
    assert [report.epoch for report in earlier_epochs(trial, config_of(), folder)] == [1, 2]
    assert folder.paused_state(config_of().key()).is_file()


def test_epochs_without_a_state_are_forgotten(study: Study, folder: RunFolder) -> None:
    trial = begun(study, folder, epochs=2, state=False)
    assert earlier_epochs(trial, config_of(), folder) == ()
    assert read_curve(study.trials[0]) == ()


def test_a_state_without_epochs_is_another_study_s(study: Study, folder: RunFolder) -> None:
    trial = begun(study, folder, epochs=0)
    assert earlier_epochs(trial, config_of(), folder) == ()
    assert names(folder) == set()


@pytest.mark.parametrize("again", [put_back, retry], ids=["put back", "tried again"])
def test_epochs_and_state_stay_with_a_configuration_that_is_trained_again(
    study: Study, folder: RunFolder, again: object
) -> None:
    trial = begun(study, folder, epochs=2)
    curve = read_curve(trial)
    (put_back if again is put_back else retry)(study, trial.number)
    if again is retry:
        study.tell(trial, state=TrialState.FAIL)
    delete_ended(study, folder)
    taken = study.ask()
    assert read_curve(taken) == curve
    assert earlier_epochs(taken, config_of(), folder) == curve


def test_the_states_of_trials_that_have_ended_are_deleted(study: Study, folder: RunFolder) -> None:
    delete_ended(study, folder)  # there is no folder yet
    ended = [begun(study, folder, 1, method) for method in ("full", "lora")]
    begun(study, folder, 1, "probe")
    (folder.paused / f".{config_of('full').key()}.safetensors-77").touch()
    (folder.paused / f".{config_of('probe').key()}.safetensors-77").touch()
    study.tell(ended[0], [0.5])
    study.tell(ended[1], state=TrialState.PRUNED)
    delete_ended(study, folder)
    probe = config_of("probe").key()
    assert names(folder) == {f"{probe}.safetensors", f".{probe}.safetensors-77"}


def test_a_trial_that_is_tried_again_has_the_weights_of_the_epochs_that_it_goes_on_from(
    study: Study, folder: RunFolder
) -> None:
    """Whoever trains another trial meanwhile leaves them alone, and a worker that dies before it takes them over."""
    lost, other = begun(study, folder, epochs=2), study.ask()
    study.tell(other, [0.5])
    for name in ("0@1", "0@2", "10@1"):
        (folder.weights / name).mkdir(parents=True)
    assert lose(study, lost) == 2
    assert lose(study, study.ask()) == 3
    delete_dominated(study, folder.weights, ["macro_f1"])
    assert {path.name for path in folder.weights.iterdir()} == {"0@1", "0@2", "10@1"}
    again = study.ask()
    (folder.weights / "0@2" / "old").touch()
    (folder.weights / "3@2").mkdir()
    assert len(earlier_epochs(again, config_of(), folder)) == 2
    assert {path.name for path in folder.weights.iterdir()} == {"3@1", "3@2", "0@2", "10@1"}
    assert not (folder.weights / "3@2" / "old").exists(), "its own"
    study.tell(again, state=TrialState.FAIL)
    delete_dominated(study, folder.weights, ["macro_f1"])
    assert {path.name for path in folder.weights.iterdir()} == {"10@1"}


def test_epochs_that_are_forgotten_leave_their_weights_to_nobody(study: Study, folder: RunFolder) -> None:
    lost = begun(study, folder, epochs=2, state=False)
    (folder.weights / "0@1").mkdir(parents=True)
    lose(study, lost)
    again = study.ask()
    assert earlier_epochs(again, config_of(), folder) == ()
    delete_dominated(study, folder.weights, ["macro_f1"])
    assert list(folder.weights.iterdir()) == []


def lose(study: Study, trial: Trial) -> int:
    """Let the worker of `trial` be lost, with the process that watched over it; returns the number of the next try."""
    assign_worker(trial, dead_worker())
    assert reclaim(study) == [trial.number]
    return study.trials[-1].number
