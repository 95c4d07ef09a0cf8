"""Draw the pictures in docs/pictures from one real study: its front, its report, the dashboard and the live view.

python -m scripts.make_tutorial --folder /tmp/tutorial     # the study, unless there is one already
python -m scripts.make_pictures /tmp/tutorial              # needs Chromium; trains three trials more, in a copy

The folder is the one in which the study was searched; `--study` names another study than the tutorial's.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from peftsearch.storage.records import Record

PICTURES = Path(__file__).parent.parent / "docs" / "pictures"
LARGEST = 200_000
"""Bytes of a committed picture."""

WIDTH, LIVE_COLUMNS, PORT = 1400, 100, 8391
CHARACTER = 0.63
"""Width of a character as a share of its height, of the widest font that a browser may take; rich says 0.61."""


def photograph(address: str, to: Path, width: int, height: int) -> None:
    """Save what Chromium shows of `address` in a window of this size, in pixels."""
    from PIL import Image

    command = [
        shutil.which("chromium") or "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
        "--virtual-time-budget=25000", f"--window-size={width},{height}", f"--screenshot={to}", address,
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True, timeout=180)
    with Image.open(to) as taken:
        taken.convert("RGB").quantize(256, Image.Quantize.FASTOCTREE).save(to, optimize=True)  # keeps rare colours
    size = to.stat().st_size
    print(f"{to.name}: {size / 1000:.0f} kB")
    if size > LARGEST:
        raise SystemExit(f"{to} has {size:,} bytes, and at most {LARGEST:,} are committed; show less of it")


def peftsearch(*arguments: str) -> None:
    """Run a command of peftsearch in the working folder."""
    subprocess.run([sys.executable, "-m", "peftsearch", *arguments], check=True)


@contextmanager
def dashboard(study: str) -> Iterator[str]:
    """The address of the study's page in the dashboard, which is served meanwhile."""
    command = [sys.executable, "-m", "peftsearch", "dashboard", "--study", study, "--port", str(PORT)]
    with subprocess.Popen(command) as server:
        try:
            while server.poll() is None and not answers(PORT):  # it names its address before it listens
                time.sleep(0.2)
            yield f"http://127.0.0.1:{PORT}/dashboard/studies/1"
        finally:
            server.terminate()


def answers(port: int) -> bool:
    """Whether a server on this machine listens on `port`."""
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


def live_view(study: str, to: Path) -> None:
    """Train three trials more, and save what a terminal shows while one of them is about half done."""
    from rich.console import Console, Group

    from peftsearch import open_results, run_study
    from peftsearch.report.study_views import progress_view

    stored = open_results(study)
    budget = stored.status().done + 3  # one alone may be TF-IDF, which has no steps
    seen: dict[float, str] = {}

    def look(records: Sequence[Record]) -> None:
        for record in records:
            if record.state == "running" and record.at:
                console = Console(record=True, width=LIVE_COLUMNS, file=io.StringIO(), force_terminal=True)
                front = {"tolerance": stored.tolerance, "every_epoch": stored.every_epoch}
                console.print(Group(*progress_view(records, stored.objectives, budget, **front)))
                title = f"peftsearch optimize --study {study} --trials {budget}"
                half = abs(record.at.step / record.at.steps - 0.5)
                seen[half] = console.export_svg(title=title, font_aspect_ratio=CHARACTER)

    run_study(study, trials=budget, on_tick=look)
    svg = to.with_suffix(".svg")
    svg.write_text(seen[min(seen)], encoding="utf-8")
    width, height = (
        int(float(side)) + 1 for side in re.findall(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', seen[min(seen)])[0]
    )
    photograph(svg.resolve().as_uri(), to, width, height)
    svg.unlink()


def main() -> None:
    """Draw every picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the study was searched; runs/ lies in it")
    parser.add_argument("--study", default="glosses")
    asked = parser.parse_args()
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        copy = shutil.copytree(asked.folder, Path(scratch) / "copy")
        os.chdir(copy)
        peftsearch("front", "--study", asked.study, "--plot", str(PICTURES / "front.png"))
        peftsearch("report", "--study", asked.study, "--out", "page.html")
        photograph(Path("page.html").resolve().as_uri(), PICTURES / "report.png", WIDTH, 1750)
        with dashboard(asked.study) as address:
            photograph(address, PICTURES / "dashboard.png", WIDTH, 2230)
        live_view(asked.study, PICTURES / "live.png")


if __name__ == "__main__":
    main()
