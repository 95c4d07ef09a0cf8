"""`python -m tests.helpers.skipped` prints which tests are skipped here, and why; nothing if none is."""

from __future__ import annotations

from tests.helpers import cluster, postgres

NEED = {"a PostgreSQL server": postgres.missing, "a Ray cluster": cluster.missing}

if __name__ == "__main__":
    for what, missing in NEED.items():
        if reason := missing():
            print(f"The tests that need {what} are skipped: {reason}")
