"""Trains the network on the corpus stream, for a number of steps or seconds, and keeps the averaged weights."""
import csv
import math
import time

import torch
from torch.nn import functional as F

from corpus import END, START, turn

BATCH_TOKENS = 4096
LONG_EVERY = 10     # every so many steps one step of rows as long as the whole context
SHORT_ROW = 256
MERGE_DROPOUT = 0.1  # for the questions, half of the time
CUT_SHARE = 0.65


class Rows:
    """Packs documents into rows of tokens with a target mask. Rows start with a document; none is cut at its head."""

    def __init__(self, corpus, tokenizer):
        self.corpus, self.tokenizer = corpus, tokenizer

    def document(self):
        tokens, learn = [], []
        if self.corpus.rng.random() < 0.8:
            tokens, learn = [self.tokenizer.bos], [False]
        for text, wanted in self.corpus.document():
            dropout = 0.0 if wanted or self.corpus.rng.random() < 0.5 else MERGE_DROPOUT
            piece = self.tokenizer.encode(text, dropout)
            tokens += piece
            learn += [wanted] * len(piece)
        return self.cut(tokens, learn)

    def cut(self, tokens, learn):
        """Often leaves out the end of the last answer: its first words decide which fact is told, the rest is soon known by heart."""
        rng = self.corpus.rng
        if rng.random() < CUT_SHARE and not learn[1] and True in learn:
            last = len(learn) - 1 - learn[::-1].index(True)
            first = last
            while learn[first - 1]:
                first -= 1
            keep = first + rng.randint(6, 12)
            tokens, learn = tokens[:keep], learn[:keep]
        return tokens, learn

    def batch(self, length):
        rows, marks = [], []
        for _ in range(BATCH_TOKENS // length):
            tokens, learn = [], []
            while len(tokens) < length + 1:
                more, wanted = self.document()
                tokens, learn = tokens + more, learn + wanted
            rows.append(tokens[:length + 1])
            marks.append(learn[:length + 1])
        rows = torch.tensor(rows)
        return rows[:, :-1], rows[:, 1:], torch.tensor(marks)[:, 1:]


def loss_of(model, inputs, targets, learn):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = F.linear(model.hidden(inputs)[learn], model.token_embd.weight)
    return F.cross_entropy(logits.float(), targets[learn])


class Muon(torch.optim.Optimizer):
    """Momentum whose matrix updates are made orthogonal by five Newton-Schulz steps (K. Jordan, 2024)."""

    def __init__(self, params, lr, momentum=0.95, weight_decay=0.0):
        super().__init__(params, dict(lr=lr, momentum=momentum, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                moment = self.state[p].setdefault("moment", torch.zeros_like(p))
                moment.lerp_(p.grad, 1 - group["momentum"])
                update = orthogonal(p.grad.lerp(moment, group["momentum"]))
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.add_(update, alpha=-group["lr"] * max(1, p.shape[0] / p.shape[1]) ** 0.5)


def orthogonal(g):
    a, b, c = 3.4445, -4.7750, 2.0315
    x = g.T if g.shape[0] > g.shape[1] else g
    x = (x / (x.norm() + 1e-7)).bfloat16()
    for _ in range(5):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    return (x.T if g.shape[0] > g.shape[1] else x).float()


def optimizers(model):
    matrices = [p for name, p in model.named_parameters() if p.dim() == 2 and name.startswith("blk")]
    others = [p for name, p in model.named_parameters() if p.requires_grad and not (p.dim() == 2 and name.startswith("blk"))]
    return [Muon(matrices, lr=0.02, weight_decay=0.02), torch.optim.AdamW(others, lr=0.004, betas=(0.9, 0.98), weight_decay=0.01)]


def rate(progress, step):
    """Share of the full learning rate: 30 steps of warming up, then constant, then falling to nothing over the last half."""
    return min(1, (step + 1) / 30) * min(1, (1 - progress) / 0.5 + 0.01)


def padded(corpus_rows, tokenizer):
    """Prompts and reference answers as one batch: inputs, and a mask of the answers' tokens."""
    pairs = []
    for row in corpus_rows:
        prompt = [tokenizer.bos] + tokenizer.encode(turn("user", row["question"]) + f"{START}assistant\n")
        pairs.append((prompt, tokenizer.encode(row["reference"] + END)))
    length = max(len(prompt) + len(answer) for prompt, answer in pairs)
    inputs = torch.zeros(len(pairs), length, dtype=torch.long)
    learn = torch.zeros(len(pairs), length, dtype=torch.bool)
    for i, (prompt, answer) in enumerate(pairs):
        end = len(prompt) + len(answer)
        inputs[i, :end] = torch.tensor(prompt + answer)
        learn[i, len(prompt):end] = True
    return inputs, learn


@torch.no_grad()
def held_out(model, rows, tokenizer):
    """Loss per token of the reference answers, and the share of questions whose greedy answer is exactly the reference."""
    total = count = exact = 0
    for start in range(0, len(rows), 64):
        inputs, learn = padded(rows[start:start + 64], tokenizer)
        targets, learn = inputs[:, 1:], learn[:, 1:]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = model(inputs[:, :-1])
        total += F.cross_entropy(logits[learn].float(), targets[learn], reduction="sum").item()
        count += int(learn.sum())
        exact += int(((logits.argmax(-1) == targets) | ~learn).all(1).sum())
    return total / count, exact / len(rows)


def train(model, corpus, questions, tokenizer, log_path, steps, seconds=None, keep=None, log_every=100):
    """Stops after `steps` steps; with `seconds` the schedule follows the clock instead. Returns the seconds it took.

    `keep` is called with the averaged weights, by name, whenever a line is logged.
    """
    rows, opts = Rows(corpus, tokenizer), optimizers(model)
    full = [[g["lr"] for g in opt.param_groups] for opt in opts]
    average = [p.detach().clone() for p in model.parameters()]
    start = last = time.monotonic()
    seen, recent, step, progress = 0, [], 0, 0.0
    with open(log_path, "w", newline="") as file:
        log = csv.writer(file, lineterminator="\n")
        log.writerow(["step", "loss", "held_out_loss", "held_out_exact", "tokens", "tokens_per_second", "seconds"])
        while progress < 1:
            for opt, rates in zip(opts, full):
                for group, lr in zip(opt.param_groups, rates):
                    group["lr"] = lr * rate(progress, step)
            length = model.shape.context if step % LONG_EVERY == LONG_EVERY - 1 else SHORT_ROW
            loss = loss_of(model, *rows.batch(length))
            loss.backward()
            for opt in opts:
                opt.step()
                opt.zero_grad(set_to_none=True)
            with torch.no_grad():
                for kept, p in zip(average, model.parameters()):
                    kept.lerp_(p, 0.02)
            step, seen = step + 1, seen + BATCH_TOKENS
            recent.append(loss.item())
            elapsed = time.monotonic() - start
            progress = elapsed / seconds if seconds else step / steps
            if step % log_every == 0 or progress >= 1:
                held, exact = held_out(model, questions, tokenizer)
                now = time.monotonic()
                row = [step, f"{sum(recent) / len(recent):.4f}", f"{held:.4f}", f"{exact:.3f}", seen,
                       f"{len(recent) * BATCH_TOKENS / (now - last):.0f}", f"{now - start:.0f}"]
                log.writerow(row)
                file.flush()
                print(*row, flush=True)
                if keep:
                    keep({name: kept.clone() for (name, _), kept in zip(model.named_parameters(), average)})
                recent, last = [], time.monotonic()
            if math.isnan(loss.item()):
                raise RuntimeError("the loss is not a number")
    with torch.no_grad():
        for kept, p in zip(average, model.parameters()):
            p.copy_(kept)
    return time.monotonic() - start
