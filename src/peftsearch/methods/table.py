"""All tuning methods. A new one is a class in a file of this package, and a line in one of the two tables."""

from __future__ import annotations

from peftsearch.methods.adapterhub.bottleneck import (
    Compacter,
    DoubleSequentialBottleneck,
    ParallelBottleneck,
    SequentialBottleneck,
)
from peftsearch.methods.adapterhub.hybrid import MixAndMatch, UniPelt
from peftsearch.methods.adapterhub.reft import LoReft
from peftsearch.methods.base import EncoderMethod, Method, TextMethod
from peftsearch.methods.peft_library.adalora import AdaLora
from peftsearch.methods.peft_library.ia3 import Ia3
from peftsearch.methods.peft_library.lora import Lora
from peftsearch.methods.peft_library.low_rank import LoHa, LoKr, Vera
from peftsearch.methods.peft_library.prompt import Prompt, PTuning
from peftsearch.methods.prefix import PrefixTuning
from peftsearch.methods.selective.bitfit_layernorm import BitFit, LayerNorm
from peftsearch.methods.selective.frozen import Frozen
from peftsearch.methods.selective.full import Full
from peftsearch.methods.selective.probe import Probe
from peftsearch.methods.selective.unfreezing import Unfreezing
from peftsearch.methods.selective.untuned import Untuned
from peftsearch.methods.tfidf import Tfidf

ENCODER_METHODS: dict[str, EncoderMethod] = {
    "none": Untuned(),
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
    "prefix": PrefixTuning(),
    "seq_bn": SequentialBottleneck(),
    "double_seq_bn": DoubleSequentialBottleneck(),
    "par_bn": ParallelBottleneck(),
    "compacter": Compacter(),
    "loreft": LoReft(),
    "unipelt": UniPelt(),
    "mam": MixAndMatch(),
}
"""Name in a study file → a method that tunes a backbone."""

TEXT_METHODS: dict[str, TextMethod] = {
    "tfidf": Tfidf(),
}
"""Name in a study file → a method that is fitted to the texts themselves."""

METHODS: dict[str, Method] = {**TEXT_METHODS, **ENCODER_METHODS}
