"""A guard against other distributions that own a top-level package of the same name, such as ``agents``."""

from importlib.util import find_spec
from pathlib import Path

PACKAGES = ("market", "encoders", "envs", "agents", "evaluation", "pipeline", "configs", "tools")
HOME = Path(__file__).resolve().parent.parent


def refuse_clash(packages: tuple[str, ...] = PACKAGES, home: Path = HOME) -> None:
    """Refuses to go on where one of the packages would be imported from elsewhere than beside `factorgym`.

    Raises:
        ImportError: With the name, the place that it would come from, and the remedy.
    """
    for name in packages:
        spec = find_spec(name)
        place = None if spec is None or spec.origin is None else Path(spec.origin).resolve()
        if place is None or place.parent.parent != home:
            raise ImportError(
                f"factorgym needs its own package '{name}' from {home}, but Python finds {place or 'none'}; install "
                f"FactorGym into an environment without the other owner of '{name}', or put {home} first on PYTHONPATH"
            )
