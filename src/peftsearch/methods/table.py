"""All tuning methods. A new one is a file beside this and a line here."""

from __future__ import annotations

from peftsearch.methods.adalora import AdaLora
from peftsearch.methods.base import Method
from peftsearch.methods.bottleneck import (
    Compacter,
    DoubleSequentialBottleneck,
    ParallelBottleneck,
    SequentialBottleneck,
)
from peftsearch.methods.frozen import Frozen
from peftsearch.methods.full import Full
from peftsearch.methods.lora import Lora
from peftsearch.methods.low_rank import Ia3, LoHa, LoKr, Vera
from peftsearch.methods.mixed import MixAndMatch, UniPelt
from peftsearch.methods.prefix import Prefix
from peftsearch.methods.probe import Probe
from peftsearch.methods.prompt import Prompt, PTuning
from peftsearch.methods.reft import LoReft
from peftsearch.methods.selected import BitFit, LayerNorm
from peftsearch.methods.tfidf import Tfidf
from peftsearch.methods.unfreezing import Unfreezing
from peftsearch.methods.untuned import Untuned

METHODS: dict[str, Method] = {
    "none": Untuned(),
    "tfidf": Tfidf(),
    "full": Full(),
    "probe": Probe(),
    "frozen": Frozen(),
    "unfreezing": Unfreezing(),
    "bitfit": BitFit(),
    "layernorm": LayerNorm(),
    "lora": Lora(),
    "adalora": AdaLora(),
    "vera": Vera(),
    "loha": LoHa(),
    "lokr": LoKr(),
    "ia3": Ia3(),
    "prompt": Prompt(),
    "p_tuning": PTuning(),
    "prefix": Prefix(),
    "seq_bn": SequentialBottleneck(),
    "double_seq_bn": DoubleSequentialBottleneck(),
    "par_bn": ParallelBottleneck(),
    "compacter": Compacter(),
    "loreft": LoReft(),
    "unipelt": UniPelt(),
    "mam": MixAndMatch(),
}
"""Name in a study file → method."""
