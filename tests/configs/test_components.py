"""Parts of a config are exchanged by name, and a wrong name is answered with what there is."""

from dataclasses import replace

import pytest

from agents.configs import PPO
from agents.replay import SAC
from configs import components
from configs.components import open_fields, parts_of, with_components
from configs.pretrain.dj30_storm_dual_small import experiment as storm
from configs.pretrain.dj30_vae import experiment as vae
from configs.trade.ppo_single import experiment as ppo
from encoders.quantizers import EMA, FSQ
from encoders.recurrent import GRU
from encoders.storm import Storm
from encoders.vae_networks import Recurrent
from envs import Position


def test_a_part_is_exchanged_for_another_with_its_defaults() -> None:
    assert with_components(storm, {"encoder": "gru"}) == replace(storm, encoder=GRU())
    assert with_components(ppo, {"agent": "sac", "action": "position"}) == replace(ppo, agent=SAC(), action=Position())


def test_the_outer_part_comes_first() -> None:
    found = with_components(storm, {"encoder.quantizer": "fsq", "encoder": "storm"})
    assert found == replace(storm, encoder=replace(storm.encoder, quantizer=FSQ()))
    assert with_components(storm, {"encoder.quantizer": "ema", "encoder": "factor-vqvae"}).encoder.quantizer == EMA()


def test_a_part_that_is_there_stays_as_it_is() -> None:
    assert with_components(storm, {"encoder": "storm", "encoder.quantizer": "learnable"}) == storm


def test_a_part_may_be_left_out_where_its_field_allows() -> None:
    conditional = with_components(vae, {"encoder.inference": "recurrent"})
    assert conditional.encoder.inference == Recurrent()
    assert with_components(conditional, {"encoder.condition": "none"}).encoder.condition is None
    with pytest.raises(ValueError, match="encoder takes"):
        with_components(vae, {"encoder": "none"})


@pytest.mark.parametrize("spelling", ["factor-vae", "factor_vae", "FactorVAE", "factorvae"])
def test_a_name_may_be_spelt_as_one_likes(spelling: str) -> None:
    assert type(with_components(storm, {"encoder": spelling}).encoder).__name__ == "FactorVAE"


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({"encoder": "gruu"}, r"--encoder:gruu: did you mean gru\? encoder takes .*storm"),
        ({"encoder.quantizer": "fsk"}, r"did you mean fsq\? quantizer takes affine, continuous, ema, fsq"),
        ({"encoder": ""}, "encoder takes"),
        ({"encodr": "gru"}, "did you mean 'encoder'"),
        ({"optim": "adam"}, "optim takes no other part"),
        ({"seed": "one"}, "seed takes no other part"),
        ({"seed.x": "one"}, "seed is 0 and has no fields"),
        ({"encoder": "factor-vqvae-predictor"}, "has no default for run"),
        ({"encoder": "sac"}, "encoder takes"),
    ],
)
def test_a_wrong_name_is_answered(names: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        with_components(storm, names)


def test_every_encoder_and_agent_of_the_library_can_be_chosen() -> None:
    encoders = {"storm", "vae", "factor-vae", "gru", "ridge", "pca"}
    assert encoders <= set(parts_of(type(storm).__annotations__["encoder"]))
    assert {"ppo", "a2c", "sac", "td3", "dqn"} <= set(parts_of(type(ppo).__annotations__["agent"]))
    for name, kind in parts_of(type(ppo).__annotations__["agent"]).items():
        assert kind is not None
        assert with_components(ppo, {"agent": name}).agent == kind()


def test_help_lists_the_fields_that_take_parts() -> None:
    assert {"encoder", "encoder.quantizer", "features", "scaling"} <= set(open_fields(storm))
    assert "optim" not in open_fields(storm)
    assert isinstance(storm.encoder, Storm)
    assert isinstance(ppo.agent, PPO)
    assert components.NONE in parts_of(type(vae.encoder).__annotations__["condition"])
