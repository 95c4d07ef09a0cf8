"""The pieces of code in which the scripts of two trials differ, by what the trials differ in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

NEEDS = {
    "torch": "torch transformers safetensors scikit-learn",
    "peft": "torch transformers peft safetensors scikit-learn",
    "adapters": "torch transformers adapters safetensors scikit-learn",
}
"""Library of a method → the packages that its script imports."""

LIBRARY_IMPORTS = {
    "torch": "",
    "peft": "from peft import <<names>>, get_peft_model",
    "adapters": "import adapters\nfrom adapters import <<names>>",
}

LOADERS = {"native": "AutoModelForSequenceClassification, AutoTokenizer", "encoder": "AutoModel, AutoTokenizer"}
"""The classes of transformers that a script imports, with the architecture's own head or without."""

PREPARED: Mapping[str, str] = {
    "full": "encoder.requires_grad_(True)",
    "probe": "encoder.requires_grad_(False)",
    "frozen": """\
for name, parameter in encoder.named_parameters():
    parameter.requires_grad_(not name.startswith(FROZEN))
""",
    "unfreezing": """\
for name, parameter in encoder.named_parameters():
    parameter.requires_grad_(any(name.startswith(names) for names in STAGES))
""",
    "bitfit": """\
for name, parameter in encoder.named_parameters():
    parameter.requires_grad_(name.split(".")[-1] == "bias")
""",
    "layernorm": """\
encoder.requires_grad_(False)
for module in encoder.modules():
    if type(module).__name__.endswith("Norm"):
        module.requires_grad_(True)
""",
    "peft": "config = <<call>>\nencoder = get_peft_model(encoder, config)",
    "adapters": """\
config = <<call>>
adapters.init(encoder)
encoder.add_adapter("tuned", config=config)
encoder.train_adapter("tuned")
""",
}
"""A method of torch, or the library of any other one → how the encoder is made ready to train."""

UNFAITHFUL: Mapping[str, str] = {
    "none": "the method none trains nothing",
    "adalora": "AdaLoRA allocates its ranks in the training loop, which a short script would leave out",
    "unipelt": "the gates of unipelt are averaged over the words of a text, which AdapterHub alone does not do",
}
"""A method → why no short script does the same."""

ENCODER = """\
encoder = AutoModel.from_pretrained(backbone, <<kwargs>>)
modules = dict(encoder.named_modules())
self.blocks = tuple(modules[name] for name in BLOCKS)
self.encoder = prepare(encoder)
width = encoder.config.hidden_size
"""

BUILT: Mapping[str, str] = {
    "linear": f"{ENCODER}self.head = nn.Sequential(nn.Dropout(HEAD_DROPOUT), nn.Linear(width, len(LABELS)))\n",
    "mlp": f"""\
{ENCODER}self.head = nn.Sequential(
    nn.LayerNorm(width),
    nn.Linear(width, width // 2),
    nn.ReLU(),
    nn.Dropout(HEAD_DROPOUT),
    nn.LayerNorm(width // 2),
    nn.Linear(width // 2, len(LABELS)),
)
""",
    "lstm": f"""\
{ENCODER}self.lstm = nn.LSTM(width, width, batch_first=True)
self.head = nn.Sequential(nn.Dropout(HEAD_DROPOUT), nn.Linear(width, len(LABELS)))
""",
    "native": """\
self.model = AutoModelForSequenceClassification.from_pretrained(backbone, num_labels=len(LABELS), <<kwargs>>)
of_encoder = set(self.encoder.modules())
for module in self.model.modules():
    if isinstance(module, nn.Dropout) and module not in of_encoder:
        module.p = HEAD_DROPOUT
modules = dict(self.encoder.named_modules())
self.blocks = tuple(modules[name] for name in BLOCKS)
prepare(self.encoder)
""",
}
"""A head → how the classifier is built."""

NATIVE_MEMBERS = '''
@property
def encoder(self):
    """The architecture's classifier without its head."""
    return self.model.base_model
'''

POOLED: Mapping[str, str] = {
    "cls": "states[:, 0]",
    "mean": "(states * mask.unsqueeze(-1)).sum(dim=1) / mask.sum(dim=1, keepdim=True)",
    "max": "states.masked_fill(mask.unsqueeze(-1) == 0, torch.finfo(states.dtype).min).amax(dim=1)",
    "last": "states[torch.arange(len(states)), mask.sum(dim=1) - 1]",
}
"""A pooling → from the states (texts, words, width) and their mask to one state a text; padding is on the right."""

SCHEDULES: Mapping[str, str] = {
    "linear": "(1.0 - progress)",
    "cosine": "0.5 * (1.0 + math.cos(math.pi * progress))",
    "constant": "1.0",
}
"""A schedule → the share of the learning rate after the warm-up."""

CROSS_ENTROPY = """\
total = functional.cross_entropy(logits, labels, weights, label_smoothing=LABEL_SMOOTHING, reduction="sum")
return total / len(labels)
"""

FOCAL = """\
log_p = functional.log_softmax(logits, dim=-1)
targets = functional.one_hot(labels, len(LABELS)) * (1 - LABEL_SMOOTHING) + LABEL_SMOOTHING / len(LABELS)
if weights is not None:
    targets = targets * weights
rest = (-torch.expm1(log_p)).clamp_min(torch.finfo(log_p.dtype).eps)
return -(targets * rest**FOCAL_GAMMA * log_p).sum() / len(labels)
"""

WEIGHTS: Mapping[str, str] = {
    "none": "weights = None",
    "balanced": """\
counts = torch.bincount(labels_of(rows), minlength=len(LABELS))
weights = len(rows) / (len(LABELS) * counts)
""",
}
"""`class_weights` → the weight of each class in the loss."""

STAGED = '''
def enter(encoder, epoch):
    """Thaw what this epoch trains, and freeze the rest."""
    for name, parameter in encoder.named_parameters():
        parameter.requires_grad_(name.startswith(STAGES[epoch]))


def first_step(name, steps):
    """The step at which a parameter of the encoder thaws; 0 for the head."""
    epochs = (epoch for epoch, names in enumerate(STAGES) if name and name.startswith(names))
    return next(epochs, 0) * steps // EPOCHS

'''

FACTORED = '''
def factor_of(name):
    """What the learning rate of a parameter of the encoder is multiplied by."""
    return next((factor for start, factor in FACTORS.items() if name.startswith(start)), 1.0)

'''

STOPS_EARLY = """\
idle = 0 if score > bar + THRESHOLD else idle + 1
bar = score if idle == 0 else bar
if idle >= PATIENCE:
    break
"""

CUT = """\
if epoch + 1 == LAST_EPOCH:  # <<why_cut>>
    break
"""


@dataclass(frozen=True)
class Metric:
    """A metric of scikit-learn: the function to import, its name in words, and the call."""

    function: str
    words: str
    call: str


def _f1(average: str) -> Metric:
    classes = f'labels=list(range(len(LABELS))), average="{average}", zero_division=0.0'
    return Metric("f1_score", f"{average} F1", f"f1_score(true, predicted, {classes})")


METRICS: Mapping[str, Metric] = {
    "macro_f1": _f1("macro"),
    "weighted_f1": _f1("weighted"),
    "micro_f1": _f1("micro"),
    "accuracy": Metric("accuracy_score", "accuracy", "accuracy_score(true, predicted)"),
    "balanced_accuracy": Metric(
        "balanced_accuracy_score", "balanced accuracy", "balanced_accuracy_score(true, predicted)"
    ),
    "matthews_correlation": Metric("matthews_corrcoef", "Matthews correlation", "matthews_corrcoef(true, predicted)"),
}
"""The metric that chooses the best epoch → how a script computes it."""
