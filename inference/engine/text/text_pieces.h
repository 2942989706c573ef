// Cuts a long text into pieces that a tokeniser of byte pairs can be given one after the other.
//
// Such a tokeniser first cuts text into words, by a pattern of the model. llama.cpp matches most of these patterns with
// std::regex, which recurses for each character of a word: a long word, five thousand times the same letter, would use
// up a thread's stack. So no piece is longer than what a stack surely carries.
//
// A piece ends where words end anyway: before a single blank between something visible and a letter of ASCII, behind a
// single line break between something visible and such a letter or another script, and before a full-width mark of
// Chinese behind a character that is none. There all patterns of llama.cpp begin a word, but those that let words go on
// over blanks ("exaone-moe", "superbpe", "gemma4", "sarvam-moe"). Where there is no such place, a piece ends before a
// single blank between whatever is visible, which is the end of a word in nearly all patterns and scripts; and where
// there is none of these either, within a word, between two characters. Each cut of these other kinds may make some
// tokens others than those that the whole text would have given: the text that they stand for is the same.
//
// Pure.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace allod::inference::engine::text {

// Text that is one token wherever it stands, and so is not to be cut.
struct WholeText {
  std::string text;
  bool takes_before = false;  // white space before it, too
  bool takes_after = false;
};

// Where the piece that begins at `begin` ends: at most `bytes_max` (16 or more) later, and behind `begin` unless the
// text ends there.
std::size_t PieceEnd(std::string_view text, std::size_t begin, std::size_t bytes_max, std::span<const WholeText> whole);

}  // namespace allod::inference::engine::text
