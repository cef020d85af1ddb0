"""The record of its audit in a feature panel, bound to its content: a panel whose values were changed has none."""

from dataclasses import replace
from typing import Any

from market.audit.verdict import AuditError, AuditResult
from market.panel import Panel, content_fingerprint

KEY = "audit"


def certified(features: Panel, verdict: AuditResult, origin: Panel | None = None) -> Panel:
    """Returns the feature panel with the verdict on it in its source, beside fingerprints of itself and its origin.

    Args:
        features: What was audited.
        verdict: What was found.
        origin: The panel that the features were computed from.

    Raises:
        AuditError: The verdict is not that it passed.
    """
    if not verdict.passed:
        raise AuditError(verdict, "the features cannot be called audited")
    known: dict[str, Any] = verdict.to_json() | {"content_fingerprint": content_fingerprint(features)}
    if origin is not None:
        known["panel_fingerprint"] = content_fingerprint(origin)
    return replace(features, source={**features.source, KEY: known})


def audit_of(features: Panel) -> dict[str, Any]:
    """Returns what is known of the audit of a feature panel: its record, or why there is none, under ``verdict``.

    The record counts only where dates, assets, fields, values and masks are those that were audited.
    """
    known = features.source.get(KEY)
    if not isinstance(known, dict):
        return {"verdict": "not audited"}
    if known.get("content_fingerprint") != content_fingerprint(features):
        return {"verdict": "not audited", "why": "the features are not those that were audited"}
    return dict(known)
