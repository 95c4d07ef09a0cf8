"""Which trials a worker takes, so that a GPU's workers are not held by methods that need no GPU.

The sampler draws a method only when a trial is claimed. A worker that takes trials of encoders alone and draws a text
method therefore lets that trial wait, with its configuration, for a worker that takes those; and claims another one. It
trains the last trial of a budget itself, whatever its method: no other trial needs the GPU then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from peftsearch.methods.table import TEXT_METHODS
from peftsearch.storage.trial_attributes import CONFIG, enqueued_params
from peftsearch.study.suggest import METHOD

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

Takes = Literal["all", "encoders", "texts"]
"""What a worker takes: every trial; those whose method tunes an encoder; or those whose method reads the texts alone.

`encoders` creates trials, `texts` takes only what waits. What the untuned encoder scores (`none`) is `encoders`: it is
one pass through the encoder, which a GPU does in a fraction of the time.
"""


def takes_method(takes: Takes, method: str) -> bool:
    """Whether such a worker trains trials of this method."""
    return takes == "all" or (method in TEXT_METHODS) == (takes == "texts")


def takes_trial(takes: Takes, trial: FrozenTrial) -> bool:
    """Whether such a worker claims a trial that waits.

    One whose method nobody has drawn yet is for a worker that may draw.
    """
    config = trial.user_attrs.get(CONFIG)
    method = config["method"] if config else enqueued_params(trial).get(METHOD)
    return takes != "texts" if method is None else takes_method(takes, str(method))
