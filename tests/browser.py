"""A headless browser, where one is installed: what a page becomes once its scripts ran, and what they complain of."""

import re
import shutil
import subprocess

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-logging=stderr",
    "--v=0",
    "--virtual-time-budget=10000",
    "--dump-dom",
)
DRAWN = re.compile(r'class="(?:trace scatter|trace bars|hm|point)|<image ')


def browser() -> str | None:
    """Returns the path of a browser, None where there is none."""
    return next(filter(None, map(shutil.which, NAMES)), None)


def opened(page, tmp_path, width=1200):
    """Returns the document of `page` after its scripts ran and the lines they wrote to the console."""
    profile = tmp_path / "profile"
    profile.mkdir(exist_ok=True)
    command = [browser(), *FLAGS, f"--user-data-dir={profile}", f"--window-size={width},2000", page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=True)
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def undrawn_figures(document):
    """Returns the ids of the figures of a document that hold no drawing, and the number of figures."""
    pieces = re.split(r'(?=id="figure-\d+")', document)[1:]
    names = [re.match(r'id="(figure-\d+)"', piece).group(1) for piece in pieces]
    drawn = ["main-svg" in piece and DRAWN.search(piece) is not None for piece in pieces]
    return [name for name, there in zip(names, drawn, strict=True) if not there], len(names)
