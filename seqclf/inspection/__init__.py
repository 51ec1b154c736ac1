"""Inspection of fitted models: a summary, and displays that draw with matplotlib, which only their calls import."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seqclf.inspection._contributions import Contributions
    from seqclf.inspection._hidden_states_display import HiddenStatesDisplay
    from seqclf.inspection._model_summary import model_summary
    from seqclf.inspection._token_attribution_display import TokenAttributionDisplay
    from seqclf.inspection._token_contributions import token_contributions
    from seqclf.inspection._training_curve_display import TrainingCurveDisplay

__all__ = [
    "Contributions",
    "HiddenStatesDisplay",
    "TokenAttributionDisplay",
    "TrainingCurveDisplay",
    "model_summary",
    "token_contributions",
]

_MODULES = {
    "Contributions": "seqclf.inspection._contributions",
    "HiddenStatesDisplay": "seqclf.inspection._hidden_states_display",
    "TokenAttributionDisplay": "seqclf.inspection._token_attribution_display",
    "TrainingCurveDisplay": "seqclf.inspection._training_curve_display",
    "model_summary": "seqclf.inspection._model_summary",
    "token_contributions": "seqclf.inspection._token_contributions",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        public = ", ".join(__all__)
        raise AttributeError(f"module 'seqclf.inspection' has no attribute {name!r}; its public names are {public}")
    value = getattr(import_module(_MODULES[name]), name)
    globals()[name] = value  # later accesses do not call __getattr__
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
