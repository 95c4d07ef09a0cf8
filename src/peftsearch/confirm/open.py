"""Opens what confirming a study has found so far."""

from __future__ import annotations

from peftsearch.confirm.summary import Confirmation, confirmation
from peftsearch.core.calls.arguments import checked
from peftsearch.results.open import Study, results_of
from peftsearch.results.stored_study import StoredStudy
from peftsearch.study.overrides import Overrides


@checked
def open_confirmation(
    study: Study | StoredStudy,
    *,
    storage: str | None = None,
    fork: str | None = None,
    overrides: Overrides | None = None,
) -> Confirmation:
    """Read what `confirm` has found so far. Nothing is trained, and the test split is not opened.

    Args:
        study: results that are open already, or a study as `open_results` takes it.
        storage: as for `open_results`.
        fork: as for `open_results`.
        overrides: as for `open_results`.

    Returns:
        Every trial that was confirmed, the best on the test split first; without trials if none was.

    Raises:
        UserError: there is no such study, or no search of it has begun.

    Examples:
        >>> list(open_confirmation("quickstart").frame()["seeds"])
        [1]
    """
    return confirmation(results_of(study, storage, fork, overrides))
