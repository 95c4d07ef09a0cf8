"""Compare ways to fine-tune a text classifier, and choose on a front of quality, parameters and time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from peftsearch.api import (
        Confirmation,
        LoadedClassifier,
        Overrides,
        Recommendation,
        StoredStudy,
        StudySpec,
        UserError,
        check_study,
        confirm_study,
        export_config,
        export_front_configs,
        export_script,
        export_trial,
        init_study,
        list_studies,
        load_classifier,
        load_study,
        open_confirmation,
        open_results,
        push_export,
        recommend_trial,
        report_study,
        run_study,
        run_worker,
        train_config,
    )

__all__ = [
    "Confirmation",
    "LoadedClassifier",
    "Overrides",
    "Recommendation",
    "StoredStudy",
    "StudySpec",
    "UserError",
    "check_study",
    "confirm_study",
    "export_config",
    "export_front_configs",
    "export_script",
    "export_trial",
    "init_study",
    "list_studies",
    "load_classifier",
    "load_study",
    "open_confirmation",
    "open_results",
    "push_export",
    "recommend_trial",
    "report_study",
    "run_study",
    "run_worker",
    "train_config",
]


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used, so that `import peftsearch` alone costs nothing."""
    if name == "__version__":
        from importlib.metadata import version

        return version("peftsearch")
    if name not in __all__:
        raise AttributeError(f"module 'peftsearch' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module("peftsearch.api"), name)


def __dir__() -> list[str]:
    return __all__
