"""Environment specifications as JSON: what an environment was made with, without the arrays of its tape."""

import dataclasses
import importlib
from collections.abc import Mapping
from typing import Any, TypeVar, cast

from gymnasium.envs.registration import EnvSpec

from envs.tape import Tape

S = TypeVar("S")

CLASS = "class"
"""Key of the object that stands for a dataclass in JSON: the name of the class."""


class MarketSpec(EnvSpec):
    """A specification whose `to_json` writes costs, actions and rewards by name and describes the tape.

    ``gymnasium.make(EnvSpec.from_json(text), tape=tape)`` makes the environment again: the tape is data and is given
    anew, as is a function or an object from outside `envs`.
    """

    @staticmethod
    def of(spec: EnvSpec) -> "MarketSpec":
        """Returns the same specification as one that can be written."""
        return MarketSpec(**{one.name: getattr(spec, one.name) for one in dataclasses.fields(spec) if one.init})

    def to_json(self) -> str:
        """Returns the specification as JSON text."""
        parts = {one.name: getattr(self, one.name) for one in dataclasses.fields(EnvSpec) if one.init}
        parts["kwargs"] = {name: as_data(value) for name, value in self.kwargs.items()}
        return EnvSpec(**parts).to_json()


class Specified:
    """Keeps the specification of an environment as a `MarketSpec`."""

    _spec: EnvSpec | None = None

    @property
    def spec(self) -> EnvSpec | None:
        """Arguments that the environment was made with; None where its class was called."""
        return self._spec

    @spec.setter
    def spec(self, spec: EnvSpec | None) -> None:
        self._spec = None if spec is None else MarketSpec.of(spec)


def as_data(value: Any) -> Any:
    """Returns an argument of an environment as JSON data.

    A dataclass becomes an object with the name of its class, a tape its description, anything else that JSON has no
    form for its text.
    """
    if isinstance(value, Tape):
        return {CLASS: "Tape", "description": repr(value), "assets": list(value.assets)}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        named = {one.name: as_data(getattr(value, one.name)) for one in dataclasses.fields(value) if one.init}
        return {CLASS: type(value).__name__, **named}
    if isinstance(value, list | tuple):
        return [as_data(entry) for entry in value]
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return {CLASS: getattr(value, "__qualname__", type(value).__qualname__), "description": repr(value)}


def from_data(value: S | Mapping[str, Any], argument: str) -> S:
    """Returns an argument as it was before `as_data`; one that is no JSON object is returned as it is.

    Raises:
        ValueError: It stands for a tape, a function, or a class that is none of `envs`: give it anew.
    """
    if not isinstance(value, Mapping) or CLASS not in value:
        return cast(S, value)
    package = importlib.import_module("envs")
    name = value[CLASS]
    if name not in package.__all__ or "description" in value:
        raise ValueError(
            f"{argument}: '{name}' cannot be made from JSON; give it anew: gymnasium.make(spec, {argument}=...)"
        )
    fields = {key: _field(entry, argument) for key, entry in value.items() if key != CLASS}
    try:
        return cast(S, getattr(package, name)(**fields))
    except TypeError as error:
        raise ValueError(f"{argument}: {error}; write the specification with to_json()") from None


def _field(value: Any, argument: str) -> Any:
    if isinstance(value, list):
        return tuple(_field(entry, argument) for entry in value)
    return from_data(value, argument)
