"""Reads the corpus files and composes question wordings from them.

corpus/<topic>.txt holds facts:   [id], then `<lang>.<field> text` lines, choices separated by ` | `.
  a  the answer        q  questions written by hand     v  what one wants to do   n  what one asks about
  k  words of which a right answer holds at least one   x, t  held-out questions, for development and for the test
corpus/frames.txt holds the sentence frames and word lists.
"""
import dataclasses
import pathlib
import random
import re

FOLDER = pathlib.Path(__file__).resolve().parent / "corpus"
LANGUAGES = ("en", "sw")


@dataclasses.dataclass
class Fact:
    id: str
    topic: str
    language: str
    fields: dict

    def choices(self, field):
        return split_choices(self.fields.get(field, ""))

    @property
    def answer(self):
        return self.fields["a"]


def split_choices(text):
    return [part.strip() for part in text.split(" | ") if part.strip()]


def read_sections(path):
    name, lines = None, []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            if name:
                yield name, lines
            name, lines = line[1:line.index("]")], []
        elif line.strip() and not line.startswith("#"):
            lines.append(line.strip())
    if name:
        yield name, lines


def read_facts():
    facts = []
    for path in sorted(FOLDER.glob("*.txt")):
        if path.stem == "frames":
            continue
        for name, lines in read_sections(path):
            fields = {language: {} for language in LANGUAGES}
            for line in lines:
                key, text = line.split(" ", 1)
                language, field = key.split(".")
                fields[language][field] = f"{fields[language][field]} | {text}" if field in fields[language] else text
            facts += [Fact(name, path.stem, language, fields[language]) for language in LANGUAGES]
    return facts


class Frames:
    """Sentence frames and word lists, by name."""

    def __init__(self):
        self.lists = {name: split_choices(" ".join(lines)) for name, lines in read_sections(FOLDER / "frames.txt")}
        self.same = {language: self._same_words(language) for language in LANGUAGES}

    def _same_words(self, language):
        table = {}
        for group in self.lists[f"{language}.same"]:
            words = [word.strip() for word in group.split(",")]
            for word in words:
                table.setdefault(word, []).extend(w for w in words if w != word)
        pattern = "|".join(re.escape(word) for word in sorted(table, key=len, reverse=True))
        return re.compile(rf"\b({pattern})\b"), table

    def pick(self, rng, language, name):
        choices = self.lists.get(f"{language}.{name}") or self.lists[name]
        return self.fill(rng, language, rng.choice(choices))

    def fill(self, rng, language, text, **given):
        def value(match):
            return given.get(match[1]) or self.pick(rng, language, match[1])
        return re.sub(r"\{(\w+)\}", value, text)


class Wordings:
    """Composes questions for a fact: hand-written ones, framed ones, and noisy variants of both."""

    def __init__(self, facts, frames):
        self.frames = frames
        self.by_key = {(fact.id, fact.language): fact for fact in facts}
        self.words = {language: sorted({word for fact in facts if fact.language == language
                                        for field in "aqvn" for word in re.findall(r"[a-z']{3,}", fact.fields.get(field, ""))})
                      for language in LANGUAGES}

    def question(self, rng, fact):
        text = self.plain(rng, fact)
        if rng.random() < 0.55:
            text = self.replace_words(rng, fact.language, text)
        if rng.random() < 0.35:
            text = self.disturb_words(rng, fact.language, text)
        if rng.random() < 0.30:
            before = self.frames.pick(rng, fact.language, "before")
            text = f"{before} {lower_first(text) if before[-1] in ',:' else text}"
        if rng.random() < 0.20:
            text = f"{text} {self.frames.pick(rng, fact.language, 'after')}"
        return self.handwriting(rng, text)

    def plain(self, rng, fact):
        if fact.id == "unknown" and rng.random() < 0.6:
            return self.frames.pick(rng, fact.language, "unknown")
        field = rng.choice([field for field in "qqvn" for _ in fact.choices(field)])
        chosen = rng.choice(fact.choices(field))
        if rng.random() < 0.06:
            field, chosen = "n", span(rng, fact.answer)
        elif field == "n" and rng.random() < 0.25:
            chosen = rng.choice(self.twin(fact).choices("n"))
        if field == "q":
            return chosen
        frame = rng.choice(self.frames.lists[f"{fact.language}.{field}"])
        return upper_first(self.frames.fill(rng, fact.language, frame, **{field: chosen}))

    def twin(self, fact):
        """The same fact in the other language: people mix the two."""
        return self.by_key[fact.id, "sw" if fact.language == "en" else "en"]

    def replace_words(self, rng, language, text):
        pattern, table = self.frames.same[language]
        share = rng.choice((0.3, 0.6))
        return upper_first(pattern.sub(lambda m: rng.choice(table[m[1]]) if rng.random() < share else m[1], lower_first(text)))

    def disturb_words(self, rng, language, text):
        """Drops, swaps or replaces some words, so that the answer never hangs on a single one."""
        words, out = text.split(), []
        share = rng.choice((0.1, 0.15, 0.25))
        for word in words:
            roll = rng.random()
            if roll < share * 0.6:
                continue
            out.append(rng.choice(self.words[language]) if roll < share else word)
        if len(out) > 3 and rng.random() < 0.25:
            i = rng.randrange(len(out) - 1)
            out[i], out[i + 1] = out[i + 1], out[i]
        return " ".join(out) if len(out) >= min(2, len(words)) else text

    def handwriting(self, rng, text):
        if rng.random() < 0.30:
            text = text.lower()
        if rng.random() < 0.30:
            text = text.rstrip("?.! ")
        if rng.random() < 0.12:
            text = misspell(rng, text)
        return text


def span(rng, text):
    """A few neighbouring words of an answer, as a searcher would type them."""
    words = text.split()
    length = min(len(words), rng.randint(2, 6))
    start = rng.randint(0, len(words) - length)
    return lower_first(" ".join(words[start:start + length]).strip(" .,;:"))


def misspell(rng, text):
    letters = list(text)
    for _ in range(rng.randint(1, 2)):
        spots = [i for i in range(len(letters) - 1) if letters[i].isalpha() and letters[i + 1].isalpha()]
        if not spots:
            break
        i, way = rng.choice(spots), rng.random()
        if way < 0.35:
            del letters[i]
        elif way < 0.7:
            letters[i], letters[i + 1] = letters[i + 1], letters[i]
        else:
            letters.insert(i, letters[i])
    return "".join(letters)


def lower_first(text):
    return text[:1].lower() + text[1:] if text[1:2].islower() or text[1:2] == " " else text


def upper_first(text):
    return text[:1].upper() + text[1:]
