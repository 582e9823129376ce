"""The examples in the API's documentation: one invented customer, seen from every route."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

Example: TypeAlias = dict[str, Any]

_GENERATION = "1f0c2a9be4d35768"
ROW: Final[Example] = {
    "usage_minutes_sum_3m": 41.5,
    "usage_minutes_sum_12m": 160.0,
    "tickets_count_3m": 3.0,
    "contract": "monthly",
}
FRESHNESS: Final[Example] = {"cutoff": "2024-03-01T00:00:00Z", "age_days": 3.4, "stale": False}
MODEL: Final[Example] = {
    "version": "7",
    "bundle_sha256": "9c56cc51b374c3ba189210d5b6d4bf57790d351c96c47c02190ecf1e430635ab",
}
REASON: Final[Example] = {
    "group": "tickets",
    "feature": "tickets_count_3m",
    "label": "tickets opened, last 3 months",
    "value": "3",
    "typical": "0",
    "direction": "raises",
    "contribution": 0.81,
}
DECISION: Final[Example] = {
    "clv": 412.5,
    "expected_loss": 56.5,
    "action": "call",
    "retention": 0.25,
    "cost": 4.0,
    "status": "contact",
    "why": "worth 10.13 after its cost of 4.00",
}
STORED_SCORE: Final[Example] = {
    "customer_id": "C-1001",
    "probability": 0.137,
    "tier": "high",
    "segment": "valued",
    "expected_value": 10.13,
}
WORKLIST_ROW: Final[Example] = {**STORED_SCORE, "reasons": [REASON], "decision": DECISION}
_FROM_STORE: Final[Example] = {"freshness": FRESHNESS, "model": MODEL, "generation": _GENERATION}
CUSTOMER: Final[Example] = {**WORKLIST_ROW, **_FROM_STORE}
WORKLIST: Final[Example] = {
    "customers": [WORKLIST_ROW],
    "next_cursor": "WyIxZjBjMmE5YmU0ZDM1NzY4Iiw0OV0",
    **_FROM_STORE,
}
STORED: Final[Example] = {"scores": [STORED_SCORE], "not_found": ["C-9999"], **_FROM_STORE}
COMPUTED: Final[Example] = {"scores": [{"probability": 0.137}], "model": MODEL}
PART: Final[Example] = {
    "feature": "tickets_count_3m",
    "group": "tickets",
    "label": "tickets opened, last 3 months",
    "value": 3.0,
    "typical": 0.0,
    "contribution": 0.81,
}
EXPLAINED: Final[Example] = {
    "customer_id": "C-1001",
    "probability": 0.137,
    "margin": -1.84,
    "base": -2.65,
    "contributions": [PART],
    "raises": [{**REASON, "value": 3.0, "typical": 0.0}],
    "lowers": [],
}
EXPLANATIONS: Final[Example] = {"explanations": [EXPLAINED], **_FROM_STORE}
MODEL_CARD: Final[Example] = {
    **MODEL,
    "estimator": "xgboost",
    "params": {"depth": 4},
    "metrics": {"roc_auc": 0.819, "average_precision": 0.146},
    "trained_on": "4be1d0",
    "provenance": {"code_version": "0.1.0", "seed": 7},
    "features": 57,
}
FEATURE: Final[Example] = {
    "name": "tickets_count_3m",
    "kind": "number",
    "group": "tickets",
    "label": "tickets opened, last 3 months",
    "unit": "tickets",
    "source": "tickets",
    "window": "3m",
    "null_means": "no tickets are known of before this source began",
    "end_state": False,
    "definition": "number of rows of tickets",
    "typical": 0.0,
    "levels": None,
}
FEATURES: Final[Example] = {"model": MODEL, "features": [FEATURE]}
PROBLEM_ITEM: Final[Example] = {
    "where": "body.rows[0].tickets_cuont_3m",
    "what": "is not a feature of the model",
    "fix": "did you mean 'tickets_count_3m'?",
    "count": 1,
}
PROBLEM: Final[Example] = {
    "type": "urn:holdfast:invalid-request",
    "title": "Unprocessable Content",
    "status": 422,
    "detail": "the rows do not fit the model's features; GET /v1/features lists them",
    "instance": "/v1/scores",
    "request_id": "3f1d0d0a4f6f4a55a2b6d1b9c0a7e412",
    "errors": [PROBLEM_ITEM],
}
API_KEY: Final[Example] = {
    "key_id": "1ca3630678c1",
    "name": "crm",
    "role": "score",
    "created_at": "2025-01-09T09:30:00Z",
    "last_used_at": "2025-01-10T14:05:12Z",
    "revoked_at": None,
}
