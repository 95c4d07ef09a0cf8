"""All tuning methods. A new one is a file beside this and a line here."""

from __future__ import annotations

from peftsearch.methods.adapterhub.bottleneck import (
    Compacter,
    DoubleSequentialBottleneck,
    ParallelBottleneck,
    SequentialBottleneck,
)
from peftsearch.methods.adapterhub.hybrid import MixAndMatch, UniPelt
from peftsearch.methods.adapterhub.reft import LoReft
from peftsearch.methods.base import Method
from peftsearch.methods.peft_library.adalora import AdaLora
from peftsearch.methods.peft_library.ia3 import Ia3
from peftsearch.methods.peft_library.lora import Lora
from peftsearch.methods.peft_library.low_rank import LoHa, LoKr, Vera
from peftsearch.methods.peft_library.prompt import Prompt, PTuning
from peftsearch.methods.prefix import Prefix
from peftsearch.methods.selective.bitfit_layernorm import BitFit, LayerNorm
from peftsearch.methods.selective.frozen import Frozen
from peftsearch.methods.selective.full import Full
from peftsearch.methods.selective.probe import Probe
from peftsearch.methods.selective.unfreezing import Unfreezing
from peftsearch.methods.selective.untuned import Untuned
from peftsearch.methods.tfidf import Tfidf

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
