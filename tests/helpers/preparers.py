"""Parents that begin a search in the same moment: `python -m tests.helpers.preparers STUDY_FILE URL`."""

from __future__ import annotations

import json
import sys

from tests.helpers.together import run_together, wait_for_others


def prepare_in_processes(study: str, url: str, processes: int) -> list[str]:
    """The name of the study that each process prepared."""
    return run_together(processes, __name__, study, url)


def main(study: str, url: str) -> None:
    from peftsearch.storage.prepare import prepare
    from peftsearch.study.spec import load_study

    spec = load_study(study)
    wait_for_others()
    print(json.dumps(prepare(spec, url).study_name))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
