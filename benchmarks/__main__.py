"""`python -m benchmarks features envs ...`: runs the named benchmarks; options after a name go to it."""

import importlib
import sys

NAMES = (
    "summary",
    "features",
    "envs",
    "agents",
    "pretrain",
    "quantizers",
    "encoders",
    "long_and_wide",
    "coverage",
    "probe",
    "known_market",
    "honest_states",
)


def main(argv: list[str]) -> None:
    """Runs each named benchmark with the options that follow its name."""
    if not argv or argv[0] not in NAMES:
        sys.exit(f"usage: python -m benchmarks {{{','.join(NAMES)}}} [options] ...")
    whole = argv[0] == "summary"  # whose options name the others
    starts = [0] if whole else [k for k, word in enumerate(argv) if word in NAMES]
    for start, stop in zip(starts, [*starts[1:], len(argv)], strict=True):
        importlib.import_module(f"benchmarks.{argv[start]}").main(argv[start + 1 : stop])


if __name__ == "__main__":
    main(sys.argv[1:])
