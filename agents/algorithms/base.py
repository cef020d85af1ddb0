"""How the value of an agent becomes an algorithm of stable-baselines3, or a policy without one."""

from dataclasses import fields
from typing import Any, Protocol, runtime_checkable

from gymnasium import spaces
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.vec_env import VecEnv

from agents.networks.extractors import FlatLookup, StateLookup, StateTable

SHAPE = ("width", "net_arch", "log_std_init", "n_quantiles", "lstm_hidden_size")
"""Fields that say what the networks look like; the others say how they learn."""


@runtime_checkable
class AgentConfig(Protocol):
    """Interface of every agent's configuration."""

    @property
    def gamma(self) -> float:
        """Discount factor per day, which reward scaling shares."""
        ...

    def build(self, env: VecEnv, table: StateTable | None, portfolio: bool, seed: int, device: str) -> BaseAlgorithm:
        """Returns the algorithm, ready to learn on `env`."""
        ...

    def policy(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        table: StateTable | None,
        portfolio: bool,
    ) -> BasePolicy:
        """Returns a fresh policy of the same networks, for weights that were learnt on this or another environment."""
        ...


class Agent:
    """Base of the agents: fields become arguments of stable-baselines3, split into shape and learning."""

    algorithm: Any = None
    plain: Any = None
    equivariant: Any = None

    def build(
        self, env: VecEnv, table: StateTable | None, portfolio: bool, seed: int, device: str = "cpu"
    ) -> BaseAlgorithm:
        """Returns the algorithm, ready to learn on `env`.

        Args:
            env: Episodes to learn from.
            table: States that compact observations name; None for full ones.
            portfolio: Whether assets share one scorer; otherwise plain networks see everything in one row.
            seed: Decides first weights, actions, minibatches and the days episodes start on.
            device: Device of the networks.

        Raises:
            ValueError: The algorithm cannot act in the action space of `env`.
        """
        self._check_actions(env.action_space)
        network = self._network(portfolio, env.action_space)
        algorithm: BaseAlgorithm = self.algorithm(
            network, env, seed=seed, device=device, policy_kwargs=self._shape(network, table), **self._learning(env)
        )
        return algorithm

    def policy(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        table: StateTable | None,
        portfolio: bool,
    ) -> BasePolicy:
        """Returns a fresh policy of the same networks, for weights that were learnt on this or another environment.

        Raises:
            ValueError: The algorithm cannot act in `action_space`, or compact observations come without `table`.
        """
        self._check_actions(action_space)
        network = self._network(portfolio, action_space)
        shape = self._shape(network, table)
        built: BasePolicy = network(observation_space, action_space, lr_schedule=lambda _: 0.0, **shape)
        built.set_training_mode(False)
        return built

    def _network(self, portfolio: bool, action_space: spaces.Space[Any]) -> Any:
        shared = portfolio and self.equivariant is not None and isinstance(action_space, spaces.Box)
        return self.equivariant if shared else self.plain

    def _shape(self, network: Any, table: StateTable | None) -> dict[str, Any]:
        shared = network is self.equivariant
        chosen = {name: getattr(self, name) for name in SHAPE if hasattr(self, name)}
        if shared:
            chosen.pop("net_arch", None)
        else:
            chosen.pop("width", None)
            chosen["net_arch"] = list(chosen["net_arch"])
        lookup = {} if table is None else {"table": table}
        extractor = StateLookup if shared else FlatLookup
        return chosen | {"features_extractor_class": extractor, "features_extractor_kwargs": lookup}

    def _learning(self, env: VecEnv) -> dict[str, Any]:
        chosen = {one.name: getattr(self, one.name) for one in fields(self) if one.name not in SHAPE}  # type: ignore[arg-type]
        if "n_epochs" in chosen:  # few environments collect less than a batch
            chosen["batch_size"] = min(chosen["batch_size"], chosen["n_steps"] * env.num_envs)
        return chosen

    def _check_actions(self, action_space: spaces.Space[Any]) -> None:
        return None


class ContinuousAgent(Agent):
    """Agents whose actions are numbers."""

    def _check_actions(self, action_space: spaces.Space[Any]) -> None:
        if not isinstance(action_space, spaces.Box):
            name = type(self).__name__
            raise ValueError(f"{name}: it acts in boxes, but actions are {action_space}; use LongOnly or Position")
