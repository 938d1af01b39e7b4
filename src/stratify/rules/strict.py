"""The strict, frozen frame of every model: an unknown key is a fault."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict
from pydantic_core import PydanticCustomError


class Strict(BaseModel):
    """Unknown keys are refused, and nothing changes once read."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def refusal(words: str, *at: str | int) -> PydanticCustomError:
    """Make the refusal of a part of a model: what is wrong, and the path to the part from the model it is found in."""
    return PydanticCustomError("refused", "{words}", {"words": words, "at": at})
