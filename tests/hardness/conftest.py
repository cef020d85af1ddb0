"""What the tests of whole stages share: inputs, a server that stands for Yahoo, and what undisturbed runs make."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hardness.victims import TICKERS, Victim, arena, finish, made, make_inputs, victims
from tests.market.yahoo_server import YahooServer, listing


class Stages:
    """The stages, what their undisturbed runs made and how long those took; each is run once, when it is asked for."""

    def __init__(self, folder: Path, port: int) -> None:
        self.inputs, self.port = folder / "inputs", port
        self._whole: dict[str, tuple[dict[str, bytes], float]] = {}
        self._folder = folder
        self.inputs.mkdir()
        make_inputs(self.inputs)

    def __getitem__(self, name: str) -> Victim:
        return victims(self.inputs)[name]

    def arena(self, folder: Path) -> Path:
        """Returns a new folder for a run of a stage."""
        return arena(folder, self.inputs)

    def whole(self, name: str) -> dict[str, bytes]:
        """Returns the files of an undisturbed run."""
        return self._run(name)[0]

    def lasts(self, name: str) -> float:
        """Returns the seconds that an undisturbed run takes."""
        return self._run(name)[1]

    def _run(self, name: str) -> tuple[dict[str, bytes], float]:
        if name not in self._whole:
            where, began = self.arena(self._folder / name), time.monotonic()
            finish(self[name], where, self.port)
            self._whole[name] = made(self[name], where), time.monotonic() - began
        return self._whole[name]


@pytest.fixture(scope="session")
def stages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stages]:
    with YahooServer() as server:
        server.listings = {name: listing("2019-01-01", "2020-03-31", seed) for seed, name in enumerate(TICKERS)}
        yield Stages(tmp_path_factory.mktemp("stages"), server.port)
