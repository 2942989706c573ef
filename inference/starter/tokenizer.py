"""Trains the SentencePiece model. BPE with byte fallback: llama.cpp's "llama" tokeniser merges by the same scores."""
import io

import sentencepiece

from corpus import END, START


def train_tokenizer(lines, vocab, path, threads=2):
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=model, model_type="bpe", vocab_size=vocab, byte_fallback=True,
        character_coverage=1.0, normalization_rule_name="identity", add_dummy_prefix=False, remove_extra_whitespaces=False,
        split_digits=True, max_sentence_length=8192, num_threads=threads, control_symbols=[START, END],
        unk_id=0, bos_id=1, eos_id=2, pad_id=-1, minloglevel=2)
    path.write_bytes(model.getvalue())


class Tokenizer:
    def __init__(self, path):
        self.pieces = sentencepiece.SentencePieceProcessor(model_file=str(path))
        self.bos = self.pieces.bos_id()
        self.special = {mark: self.pieces.piece_to_id(mark) for mark in (START, END)}
        self.size = self.pieces.get_piece_size()

    def encode(self, text, dropout=0.0):
        """Tokens of a text in which the chat marks stand for their control tokens. With `dropout` some merges are left
        out at random (BPE dropout, Provilkov et al. 2020), which shows the model the parts of words."""
        tokens = []
        while text:
            at, mark = min(((text.find(m), m) for m in self.special if m in text), default=(len(text), None))
            if at:
                tokens += self.pieces.encode(text[:at], enable_sampling=dropout > 0, alpha=dropout, nbest_size=-1)
            if mark is None:
                break
            tokens.append(self.special[mark])
            text = text[at + len(mark):]
        return tokens
