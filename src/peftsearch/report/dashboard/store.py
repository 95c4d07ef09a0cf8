"""Figures and notes as optuna-dashboard keeps them: attributes of a study, which a page of the dashboard shows.

This is the only module that uses private functions of optuna-dashboard (0.21). Its public `save_plotly_graph_object`
writes a figure, but no public call reads one back, so that an unchanged one would be written again. Its public
`save_note` and `get_note` take a trial only as an `optuna.Trial`, which a trial that has ended does not have, and read
the study's attributes anew for each trial.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from peftsearch.storage.optuna_access import storage_of, study_id, trial_ids
from peftsearch.storage.study_attributes import read_foreign_attributes

if TYPE_CHECKING:
    from optuna.study import Study
    from plotly.graph_objects import Figure


class DashboardStore:
    """A study's figures and notes, as they stood when this object was made."""

    def __init__(self, study: Study) -> None:
        self._study = study
        self._attributes = dict(read_foreign_attributes(study))
        self._ids = trial_ids(study)

    def save_figure(self, name: str, figure: Figure) -> None:
        """Write a figure under an id of the study's page, unless the same figure is there.

        Args:
            name: the figure's id: letters, digits, `-`, `_`, `:` and `.`.
            figure: the figure.
        """
        from optuna_dashboard import save_plotly_graph_object
        from optuna_dashboard._custom_plot_data import SYSTEM_ATTR_PLOT_DATA, split_plot_data

        # Parts that only a longer figure needed are emptied and not removed, so they say nothing about a change.
        parts = split_plot_data(figure.to_json(), f"{SYSTEM_ATTR_PLOT_DATA}{name}:")
        if any(self._attributes.get(key) != part for key, part in parts.items()):
            save_plotly_graph_object(self._study, figure, graph_object_id=name)

    def note(self, trial: int | None) -> str:
        """The Markdown note of the trial with this number, or of the study; empty if there is none."""
        from optuna_dashboard._note import get_note_from_system_attrs

        return str(get_note_from_system_attrs(self._attributes, self._id(trial))["body"])

    def save_note(self, trial: int | None, body: str) -> None:
        """Write the Markdown note of the trial with this number, or of the study, unless the same note is there."""
        from optuna_dashboard._note import get_note_from_system_attrs, save_note_with_version

        written = get_note_from_system_attrs(self._attributes, self._id(trial))
        if body != written["body"]:
            storage, study = storage_of(self._study), study_id(self._study)
            save_note_with_version(storage, study, self._id(trial), written["version"] + 1, body)

    def _id(self, trial: int | None) -> int | None:
        return None if trial is None else self._ids[trial]
