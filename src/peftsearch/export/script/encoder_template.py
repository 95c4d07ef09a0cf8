"""The script that trains a backbone with a head: a plain loop of torch, which a person can read and change."""

TEMPLATE = '''"""<<title>>

<<origin>>
It needs:   pip install <<needs>>
To train:   python <<file>> --out model
To label:   python <<file>> --out model --label <<example>>
"""

import argparse
import json
import math
from pathlib import Path

import torch
<<library_import>>
from safetensors.torch import load_model, save_model
<<metric_import>>
from torch import nn
from torch.nn import functional
from torch.optim.lr_scheduler import LambdaLR
from transformers import <<loaders>>, logging, set_seed

ROWS = Path(__file__).parent / <<rows>>
<<constants>>
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def prepare(encoder):
    """Freeze what is not trained, and add what is."""
    <<prepare>>
    return encoder


class Classifier(nn.Module):
    """<<summary>>."""

    def __init__(self, backbone):
        super().__init__()
        <<build>>

    <<members>>

    def forward(self, inputs):
        """Logits of shape (texts, classes)."""
        <<forward>>

    def train(self, mode=True):
        """Set the mode, but leave out dropout below the first trained parameter, where it could train nothing."""
        super().train(mode)
        for block in self.blocks:
            if any(parameter.requires_grad for parameter in block.parameters()):
                break
            block.eval()
        return self


def read(file):
    """Rows of the form {"text": …, "label": …}, one JSON object a line; a pair has its second text as "pair"."""
    with open(file, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines if line.strip()]


def inputs_of(tokenizer, rows):
    pairs = [row["pair"] for row in rows] if "pair" in rows[0] else None
    encoded = tokenizer(
        [row["text"] for row in rows], pairs, truncation=True, max_length=MAX_LENGTH, padding=True, return_tensors="pt"
    )
    return {name: encoded[name].to(DEVICE) for name in INPUTS if name in encoded}


def labels_of(rows):
    return torch.tensor([LABELS.index(row["label"]) for row in rows], device=DEVICE)


def autocast():
    return torch.autocast(DEVICE.type, dtype=torch.bfloat16, enabled=BF16)


def logits_of(model, tokenizer, rows):
    model.eval()
    with torch.no_grad(), autocast():
        batches = (rows[start : start + 64] for start in range(0, len(rows), 64))
        return torch.cat([model(inputs_of(tokenizer, batch)).float().cpu() for batch in batches])


def score_of(logits, labels):
    """<<metric_name>>, by which the best epoch is chosen."""
    predicted, true = logits.argmax(dim=1).tolist(), labels.tolist()
    return <<metric>>


def loss_of(logits, labels, weights):
    <<loss>>


<<functions>>

def optimizer_of(model, steps):
    """AdamW and its schedule; biases and norms are not decayed."""
    names = {id(parameter): name for name, parameter in model.encoder.named_parameters()}
    groups = {}
    for parameter in model.parameters():
        if parameter.requires_grad:
            name = names.get(id(parameter))  # None in the head
            rate = HEAD_LEARNING_RATE if name is None else <<rate>>
            decay = WEIGHT_DECAY if parameter.ndim > 1 else 0.0
            groups.setdefault((rate, decay, <<start>>), []).append(parameter)
    optimizer = torch.optim.AdamW(
        [{"params": found, "lr": rate, "weight_decay": decay} for (rate, decay, _), found in groups.items()]
    )
    shares = [lambda step, start=start: share_of_rate(step, steps, start) for _, _, start in groups]
    return optimizer, LambdaLR(optimizer, shares)


def share_of_rate(step, steps, start):
    """The share of the learning rate at a step; parameters that thaw at `start` have a warm-up of their own."""
    warmup = math.ceil(WARMUP * steps)
    late = min(1.0, max(0, step - start) / warmup) if start and warmup else 1.0
    if step < warmup:
        return late * step / warmup
    progress = (step - warmup) / max(1, steps - warmup)
    return late * <<schedule>>


def train(model, tokenizer, rows, validation):
    """Train, and leave the weights of the <<kept>> epoch in the model."""
    <<weights>>
    optimizer, schedule = optimizer_of(model, EPOCHS * math.ceil(len(rows) / BATCH_SIZE))
    trained = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    order = torch.Generator().manual_seed(SEED)
    best, kept, bar, idle = -math.inf, {}, -math.inf, 0
    for epoch in range(EPOCHS):
        <<enter_stage>>
        model.train()
        shuffled = torch.randperm(len(rows), generator=order).tolist()
        for start in range(0, len(rows), BATCH_SIZE):
            batch = [rows[i] for i in shuffled[start : start + BATCH_SIZE]]
            with autocast():
                logits = model(inputs_of(tokenizer, batch))
            loss_of(logits.float(), labels_of(batch), weights).backward()
            <<clip>>
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
        score = score_of(logits_of(model, tokenizer, validation), labels_of(validation))
        print(f"epoch {epoch + 1}: <<metric_name>> {score:.4f}", flush=True)
        if <<keep>>:
            best = score
            now = dict(model.named_parameters())
            kept = {name: now[name].detach().cpu().clone() for name in trained}
        <<stop_early>>
    model.load_state_dict(kept, strict=False)
    return best


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", default=ROWS / "train.jsonl")
    parser.add_argument("--validation", default=ROWS / "validation.jsonl")
    parser.add_argument("--backbone", default=BACKBONE, help="a name on the hub, or a folder")
    parser.add_argument("--out", default="model", type=Path, help="the folder of the trained weights")
    parser.add_argument("--label", nargs="+", metavar="TEXT", help="label texts with the weights in --out")
    options = parser.parse_args()
    logging.set_verbosity_error()  # else it warns of weights for pretraining, which are left out on purpose
    set_seed(SEED)
    tokenizer = AutoTokenizer.from_pretrained(<<tokenizer>>)
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    tokenizer.padding_side = "right"
    model = Classifier(options.backbone).to(DEVICE)
    if options.label:
        load_model(model, options.out / "model.safetensors", device=str(DEVICE))
        rows = <<given>>
        for row, logits in zip(rows, logits_of(model, tokenizer, rows)):
            print(LABELS[logits.argmax()], json.dumps(row, ensure_ascii=False))
        return
    best = train(model, tokenizer, read(options.train), read(options.validation))
    print(f"best: <<metric_name>> {best:.4f}")
    options.out.mkdir(parents=True, exist_ok=True)
    save_model(model, options.out / "model.safetensors")


if __name__ == "__main__":
    main()
'''
