"""The audit of anything that is computed from a panel: it must not see the future, and must be seen to look.

`audit_columns` audits a function of a panel; `audit_features` one of the feature sets. What they return goes into
``audit.json``. Nothing here needs torch; `encoders.states.audit` adds what only an encoder can do wrong.
"""

from market.audit.audit import audit_columns, audit_features
from market.audit.certificate import audit_of, certified
from market.audit.columns import Columns, Recompute
from market.audit.external import External, externals_of, shifted
from market.audit.sentence import BUILT_IN, is_proven, sentence
from market.audit.verdict import AuditError, AuditResult, Scrutiny

__all__ = [
    "BUILT_IN",
    "AuditError",
    "AuditResult",
    "Columns",
    "External",
    "Recompute",
    "Scrutiny",
    "audit_columns",
    "audit_features",
    "audit_of",
    "certified",
    "externals_of",
    "is_proven",
    "sentence",
    "shifted",
]
