"""Every config file parses, builds, and survives its own dump."""

from pathlib import Path
from typing import Any

import pytest

from configs import files
from configs.schema.prepare import Prepare
from configs.schema.pretrain import Pretrain
from encoders.base import Encoder, EncoderConfig
from encoders.windows import InputShape
from market.features import FeatureSet
from market.sources import Source
from tests.encoders.tiny import bars

ROOT = Path(__file__).parent.parent.parent
CONFIGS = sorted(
    path.relative_to(ROOT)
    for path in (ROOT / "configs").rglob("*.py")
    if "schema" not in path.parts and (path.parent.name != "configs" or path.name == "demo.py")
)


def load(path: Path) -> Any:
    return files.load_python(ROOT / path, object)


@pytest.mark.parametrize("path", CONFIGS, ids=str)
def test_it_survives_its_own_dump(path: Path, tmp_path: Path) -> None:
    value = load(path)
    files.write(value, tmp_path)
    assert files.load_json(tmp_path / "config.json", type(value)) == value
    assert files.load_python(tmp_path / "config.py", type(value)) == value


@pytest.mark.parametrize("path", [path for path in CONFIGS if path.parent.name == "pretrain"], ids=str)
def test_every_encoder_builds(path: Path) -> None:
    experiment = load(path)
    assert isinstance(experiment, Pretrain)
    assert isinstance(experiment.encoder, EncoderConfig)
    assert isinstance(experiment.features, FeatureSet)
    n_features = len(experiment.features.compute(bars(70)).fields)
    shape = InputShape(experiment.encoder.lookback, n_features, n_calendar=3, n_prices=4, n_assets=29)
    assert isinstance(experiment.encoder.build(shape), Encoder)


@pytest.mark.parametrize("path", [path for path in CONFIGS if path.parent.name in ("prepare", "download")], ids=str)
def test_every_source_can_be_read_from(path: Path) -> None:
    experiment = load(path)
    assert isinstance(experiment, Prepare)
    assert isinstance(experiment.source, Source)


def test_a_run_is_named_like_its_config() -> None:
    wrong = {str(path): load(path).name for path in CONFIGS if path.parent.name in ("prepare", "pretrain", "trade")}
    assert not {path: name for path, name in wrong.items() if Path(path).stem != name}
