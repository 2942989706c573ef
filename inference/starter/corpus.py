"""The training text: an endless stream of conversations and plain prose, the evaluation questions, and the text for the tokeniser."""
import json
import random
import re

from wordings import Frames, Wordings, read_facts

START, END = "<|im_start|>", "<|im_end|>"
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}")


def turn(role, text):
    return f"{START}{role}\n{text}{END}\n"


class Corpus:
    """Deterministic for a seed. A document is a list of (text, learn) pieces; `learn` says whether its tokens carry loss."""

    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.facts = read_facts()
        self.frames = Frames()
        self.wordings = Wordings(self.facts, self.frames)
        self.secret = {bare(question) for fact in self.facts for kind in "tx" for question in fact.choices(kind)}
        self.topics = {}
        for fact in self.facts:
            self.topics.setdefault((fact.topic, fact.language), []).append(fact)
        self.weights = [4 if fact.id == "unknown" else 2 if fact.topic == "general" else 1 for fact in self.facts]

    def document(self):
        return self.conversation() if self.rng.random() < 0.95 else self.prose()

    def conversation(self):
        rng, pieces = self.rng, []
        if rng.random() < 0.25:
            pieces.append((turn("system", self.system_message()), False))
        for _ in range(rng.choices((1, 2, 3), (70, 20, 10))[0]):
            fact = rng.choices(self.facts, self.weights)[0]
            question = self.ask(self.wordings.question, fact)
            pieces.append((f"{turn('user', question)}{START}assistant\n", False))
            pieces.append((f"{fact.answer}{END}", True))
            pieces.append(("\n", False))
        return pieces

    def ask(self, compose, fact):
        """A composed question that is none of the held-out ones."""
        while bare(question := compose(self.rng, fact)) in self.secret:
            pass
        return question

    def system_message(self):
        rng = self.rng
        language = rng.choice(("en", "en", "sw"))
        sentences = [self.frames.pick(rng, language, "system") for _ in range(rng.randint(1, 4))]
        if rng.random() < 0.15:
            sentences.append(rng.choice(self.facts).answer)
        rng.shuffle(sentences)
        return rng.choice((" ", "\n")).join(sentences)

    def prose(self):
        """A paragraph of statements on one topic, or questions with their answers in plain text."""
        rng = self.rng
        topic = rng.choice([t for t in self.topics if t[0] != "general"])
        facts = rng.sample(self.topics[topic], rng.randint(2, 5))
        if rng.random() < 0.6:
            return [(" ".join(fact.answer for fact in facts) + "\n", True)]
        ask, reply = ("Question", "Answer") if topic[1] == "en" else ("Swali", "Jibu")
        return [("".join(f"{ask}: {self.ask(self.wordings.plain, fact)}\n{reply}: {fact.answer}\n" for fact in facts), True)]

    def held_out(self, kind):
        """The held-out questions of a kind, "t" (test) or "x" (development), one dictionary each."""
        rows = []
        for fact in self.facts:
            for number, question in enumerate(fact.choices(kind), 1):
                rows.append({"id": f"{fact.id}.{fact.language}.{number}", "lang": fact.language, "topic": fact.topic,
                             "question": question, "must_contain": fact.choices("k"), "reference": fact.answer})
        return rows

    def tokenizer_text(self, documents=30000):
        for _ in range(documents):
            for text, _ in self.document():
                for line in text.replace(START, "\n").replace(END, "\n").split("\n"):
                    if line:
                        yield line


def bare(question):
    return re.sub(r"[^\w]+", " ", question.lower()).strip()


def check_held_out(corpus):
    """Fails when a held-out question is also a hand-written training question, or a reference lacks its own fact."""
    trained = {bare(text) for fact in corpus.facts for field in "qvn" for text in fact.choices(field)}
    assert not trained & corpus.secret, trained & corpus.secret
    for row in corpus.held_out("t") + corpus.held_out("x"):
        assert any(k.lower() in row["reference"].lower() for k in row["must_contain"]), row["id"]


def write_questions(rows, path):
    with open(path, "w", encoding="utf-8") as out:
        for row in rows:
            out.write(json.dumps(row, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    corpus = Corpus(seed=1)
    check_held_out(corpus)
    print(len(corpus.facts), "facts in both languages,", len(corpus.secret), "held-out questions")
    for _ in range(12):
        print("".join(text for text, _ in corpus.document()))
