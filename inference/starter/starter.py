"""Builds the starter model: corpus, tokeniser, training, export. `./train` runs it; see README.md."""
import argparse
import json
import pathlib

import sentencepiece
import torch

from corpus import Corpus, check_held_out, write_questions
from evaluate import ask_command, read_questions, report, score
from export_gguf import export
from model import Llama, Shape
from tokenizer import Tokenizer, train_tokenizer
from train import train

HERE = pathlib.Path(__file__).resolve().parent


def arguments():
    parser = argparse.ArgumentParser(prog="train", description="Builds the starter model from the corpus in this folder.")
    parser.add_argument("--steps", type=int, default=1723, help="training steps of 4096 tokens (default %(default)s)")
    parser.add_argument("--seconds", type=int, help="let the schedule follow the clock for so long instead of counting steps")
    parser.add_argument("--threads", type=int, default=2, help="processor threads (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the text stream and the first weights (default %(default)s)")
    parser.add_argument("--vocab", type=int, default=3072, help="vocabulary size (default %(default)s)")
    parser.add_argument("--out", type=pathlib.Path, default=HERE / "starter-f16.gguf", help="the GGUF to write")
    parser.add_argument("--work", type=pathlib.Path, default=HERE / "build", help="folder for intermediate files")
    parser.add_argument("--log", type=pathlib.Path, default=HERE / "eval" / "training.csv", help="the training log to write")
    parser.add_argument("--ask", help="evaluate the GGUF with this program, which reads one question per line and writes one answer per line; "
                                      "{model} stands for the GGUF. Without it, run evaluate.py against a server afterwards")
    return parser.parse_args()


def main():
    args = arguments()
    args.work.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    sentencepiece.set_random_generator_seed(args.seed)

    corpus = Corpus(args.seed)
    check_held_out(corpus)
    write_questions(corpus.held_out("t"), HERE / "eval" / "questions.jsonl")
    write_questions(corpus.held_out("x"), HERE / "eval" / "development.jsonl")

    train_tokenizer(Corpus(args.seed).tokenizer_text(), args.vocab, args.work / "tokenizer.model", args.threads)
    tokenizer = Tokenizer(args.work / "tokenizer.model")

    model = Llama(Shape(vocab=tokenizer.size))
    print(f"{len(corpus.facts)} facts, {tokenizer.size} pieces, {model.parameter_count()} parameters", flush=True)
    took = train(model, corpus, corpus.held_out("x"), tokenizer, args.log, args.steps, args.seconds,
                 keep=lambda weights: torch.save(weights, args.work / "weights.pt"))
    export(model, tokenizer, args.out)
    print(json.dumps({"seconds": round(took), "bytes": args.out.stat().st_size, "out": str(args.out)}))
    if args.ask:
        rows = read_questions(HERE / "eval" / "questions.jsonl")
        answers = ask_command(args.ask.replace("{model}", str(args.out)), [row["question"] for row in rows])
        report(score(rows, answers, model=args.out.stem, questions="questions.jsonl", system=None), HERE / "eval" / "result-f16.json")


if __name__ == "__main__":
    main()
