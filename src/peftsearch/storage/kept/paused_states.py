"""The states of trials that have begun and not ended: a file for each configuration.

The storage decides whether a state counts: it belongs to the epochs that stand on the trial. So the state of a trial
without epochs is another study's that had the same name, and epochs without a state are trained again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from peftsearch.core.config import TrialConfig
from peftsearch.core.files.run_folder import RunFolder
from peftsearch.core.measurement import EpochReport
from peftsearch.storage.kept.front_checkpoints import take_over
from peftsearch.storage.optuna_access import open_trials
from peftsearch.storage.trial_attributes import CONFIG, continues, forget_epochs, read_curve

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import Trial


def earlier_epochs(trial: Trial, config: TrialConfig, folder: RunFolder) -> tuple[EpochReport, ...]:
    """The epochs of an interrupted training of `trial` that a training can go on from.

    Where there is no state, they are forgotten; where there are none, so is the state. What failed trials have kept of
    the epochs is the trial's from now on.
    """
    state, curve = folder.paused_state(config.key()), read_curve(trial)
    if not curve:
        state.unlink(missing_ok=True)
    elif not state.is_file():
        forget_epochs(trial)
        return ()
    take_over(folder.weights, continues(trial), trial.number)
    return curve


def delete_ended(study: Study, folder: RunFolder) -> None:
    """Delete the states of trials that have ended, and are not to be tried again."""
    if not folder.paused.is_dir():
        return
    configs = (TrialConfig.from_dict(t.user_attrs[CONFIG]) for t in open_trials(study) if t.user_attrs.get(CONFIG))
    kept = {folder.paused_state(config.key()).stem for config in configs}
    for file in folder.paused.iterdir():
        if file.name.lstrip(".").partition(".")[0] not in kept:  # what a killed worker has half written begins with .
            file.unlink(missing_ok=True)
