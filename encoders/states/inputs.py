"""Inputs of encoders: the audit of what they are fed with, and the proof that goes from a training to an extraction.

Scaled features are a function of the panel like any other, so `market.audit` asks it of every day. It is asked once:
inputs that are the same to the bit, or the first days of them, need no second audit.
"""

import logging
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import numpy as np

from encoders.data import Pipeline
from encoders.windows import WindowStore
from market.arrays import AnyArray
from market.audit import AuditError, AuditResult, Columns, Scrutiny, audit_columns, externals_of
from market.panel import Panel
from market.storage.array_file import fingerprint
from market.storage.scratch import day_blocks

logger = logging.getLogger(__name__)

INPUTS = ("features", "listed", "calendar")


@dataclass(frozen=True)
class ProvenInputs:
    """Inputs that `audit_inputs` found honest, day by day: what was shown of them holds of their first days too.

    Attributes:
        features: What they were computed with.
        days: A digest of the inputs of each day.
        verdict: What was found.
    """

    features: str
    days: tuple[bytes, ...]
    verdict: AuditResult

    def cover(self, features: object, store: WindowStore) -> bool:
        """Returns whether the inputs in `store` are these, to the bit, or their first days."""
        if self.features != repr(features) or len(store.features) > len(self.days):
            return False
        return day_digests(store) == self.days[: len(store.features)]


def audit_inputs(pipeline: Pipeline, panel: Panel, settings: Scrutiny | None = None) -> AuditResult:
    """Returns the verdict on what encoders are fed with: scaled features, on every day of `panel`."""

    def compute(one: Panel) -> list[Columns]:
        scaled = pipeline.inputs(one)
        return [Columns(scaled.values, scaled.fields)]

    logger.info("auditing the inputs: %d days, %d assets", len(panel), len(panel.assets))
    levels = tuple(getattr(pipeline.features, "levels", ()))
    return audit_columns(compute, panel, settings, externals_of(pipeline.features), levels)


def prove_inputs(pipeline: Pipeline, panel: Panel) -> ProvenInputs:
    """Audits the inputs that `pipeline` makes of `panel`, for all who are fed with them or with their first days.

    Raises:
        AuditError: They see the future, or cannot be shown not to.
    """
    verdict = _passed(audit_inputs(pipeline, panel))
    return ProvenInputs(repr(pipeline.features), day_digests(pipeline.store(panel)), verdict)


def inputs_record(
    pipeline: Pipeline, panel: Panel, store: WindowStore, proven: ProvenInputs | None = None
) -> dict[str, Any]:
    """Returns the verdict on the inputs in `store`, as JSON that names them by their fingerprint.

    Inputs that are `proven` are not audited again.

    Raises:
        AuditError: They see the future, or cannot be shown not to.
    """
    covered = proven is not None and proven.cover(pipeline.features, store)
    verdict = proven.verdict if proven is not None and covered else _passed(audit_inputs(pipeline, panel))
    return {**verdict.to_json(), "inputs_fingerprint": inputs_fingerprint(store)}


def _passed(verdict: AuditResult) -> AuditResult:
    if not verdict.passed:
        raise AuditError(verdict, "nothing is learnt from these features")
    return verdict


def day_digests(store: WindowStore) -> tuple[bytes, ...]:
    """Returns a sha256 of what encoders are fed with of each day: features, listings and calendar."""
    arrays = list(_input_arrays(store).values())
    found: list[bytes] = []
    for rows in day_blocks(arrays[0]):
        found += [
            sha256(b"".join(str(one.shape[1:]).encode() + one[day].tobytes() for one in arrays)).digest()
            for day in range(rows.start, min(rows.stop, len(arrays[0])))
        ]
    return tuple(found)


def _input_arrays(store: WindowStore) -> dict[str, AnyArray]:
    masks = {name: np.ascontiguousarray(getattr(store, name).cpu().numpy()) for name in INPUTS[1:]}
    return {INPUTS[0]: store.feature_array(), **masks}


def inputs_fingerprint(store: WindowStore) -> str:
    """Returns the sha256 of what encoders are fed with: features, listings and calendar of all days."""
    return fingerprint({"lookback": store.lookback}, _input_arrays(store))
