#!/usr/bin/env python3
"""Asks the held-out questions and counts the answers that hold the right fact.

The model answers greedily, through an OpenAI-compatible endpoint (--base-url) or through a program (--command) that
reads one question per line (after the system message and a tab, when there is one) and writes one answer per line.
"""
import argparse
import collections
import json
import pathlib
import re
import shlex
import subprocess
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    way = parser.add_mutually_exclusive_group(required=True)
    way.add_argument("--base-url", help="for example http://127.0.0.1:8080")
    way.add_argument("--command", help="a program with its arguments")
    parser.add_argument("--api-key-file", type=pathlib.Path, help="file that holds the bearer key for --base-url")
    parser.add_argument("--model", default="starter", help="model id for --base-url, and the name in the result (default %(default)s)")
    parser.add_argument("--system", help="a system message to send before each question")
    parser.add_argument("--questions", type=pathlib.Path, default=HERE / "eval" / "questions.jsonl")
    parser.add_argument("--out", type=pathlib.Path, help="write the result as JSON here")
    parser.add_argument("--timeout-seconds", type=float, default=60)
    parser.add_argument("--minimum", type=float, default=0.0, help="exit with 1 below this share of right answers")
    return parser.parse_args()


def ask_endpoint(args, questions):
    headers = {"Content-Type": "application/json"}
    if args.api_key_file:
        headers["Authorization"] = "Bearer " + args.api_key_file.read_text().strip()
    url = args.base_url.rstrip("/")
    url += "/chat/completions" if url.endswith("/v1") else "/v1/chat/completions"
    for question in questions:
        messages = [{"role": "system", "content": args.system}] if args.system else []
        body = {"model": args.model, "messages": messages + [{"role": "user", "content": question}], "temperature": 0, "max_tokens": 120}
        request = urllib.request.Request(url, json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, timeout=args.timeout_seconds) as response:
            yield json.load(response)["choices"][0]["message"]["content"]


def ask_command(command, questions, system=None):
    lines = [f"{system}\t{q}" if system else q for q in questions]
    done = subprocess.run(shlex.split(command), input="\n".join(lines) + "\n", capture_output=True, text=True, check=True)
    answers = done.stdout.splitlines()
    if len(answers) != len(lines):
        raise RuntimeError(f"{len(answers)} answers to {len(lines)} questions")
    return answers


def is_right(row, answer):
    """Whether one of the needles stands in the answer as whole words."""
    return any(re.search(rf"(?<!\w){re.escape(needle)}(?!\w)", answer, re.IGNORECASE) for needle in row["must_contain"])


def share_by(rows, right, field):
    totals = collections.defaultdict(lambda: [0, 0])
    for row, good in zip(rows, right):
        totals[row[field]][0] += good
        totals[row[field]][1] += 1
    return {name: {"right": good, "asked": asked, "share": round(good / asked, 4)} for name, (good, asked) in sorted(totals.items())}


def read_questions(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def score(rows, answers, **about):
    """The result: what was evaluated, shares of right answers, and every wrong answer."""
    right = [is_right(row, answer) for row, answer in zip(rows, answers)]
    return {
        **about, "asked": len(rows), "right": sum(right), "share": round(sum(right) / len(rows), 4),
        "by_language": share_by(rows, right, "lang"), "by_topic": share_by(rows, right, "topic"),
        "wrong": [{"id": row["id"], "question": row["question"], "answer": answer}
                  for row, answer, good in zip(rows, answers, right) if not good],
    }


def report(result, path=None):
    if path:
        path.write_text(json.dumps(result, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    print(f"{result['model']}: {result['right']} of {result['asked']} right ({100 * result['share']:.1f} %)")


def main():
    args = arguments()
    rows = read_questions(args.questions)
    questions = [row["question"] for row in rows]
    answers = list(ask_endpoint(args, questions)) if args.base_url else ask_command(args.command, questions, args.system)
    result = score(rows, answers, model=args.model, questions=args.questions.name, system=args.system)
    report(result, args.out)
    raise SystemExit(0 if result["share"] >= args.minimum else 1)


if __name__ == "__main__":
    main()
