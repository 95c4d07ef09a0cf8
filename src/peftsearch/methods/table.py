"""All tuning methods. A new one is a file beside this and a line here."""

from __future__ import annotations

from peftsearch.methods.base import Method
from peftsearch.methods.bottleneck import SequentialBottleneck
from peftsearch.methods.frozen import Frozen
from peftsearch.methods.full import Full
from peftsearch.methods.lora import Lora
from peftsearch.methods.prefix import Prefix
from peftsearch.methods.probe import Probe

METHODS: dict[str, Method] = {
    "full": Full(),
    "probe": Probe(),
    "frozen": Frozen(),
    "lora": Lora(),
    "prefix": Prefix(),
    "seq_bn": SequentialBottleneck(),
}
"""Name in a study file → method."""
