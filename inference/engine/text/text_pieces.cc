#include "inference/engine/text/text_pieces.h"

#include <algorithm>
#include <cstdint>

namespace allod::inference::engine::text {
namespace {

// How far a cut within a word moves to spare a WholeText.
constexpr std::size_t kStepsBackMax = 256;

bool IsAsciiLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

bool ContinuesCharacter(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

// Unicode's white space beyond ASCII, in UTF-8.
bool IsWideSpace(std::string_view character) {
  if (character == "\xC2\x85" || character == "\xC2\xA0" || character == "\xE1\x9A\x80" ||
      character == "\xE2\x81\x9F" || character == "\xE3\x80\x80") {
    return true;
  }
  if (!character.starts_with("\xE2\x80") || character.size() != 3) return false;
  const auto last = static_cast<std::uint8_t>(character[2]);
  return (last >= 0x80 && last <= 0x8A) || last == 0xA8 || last == 0xA9 || last == 0xAF;
}

bool IsVisible(std::string_view character) {
  if (character.size() == 1) return character[0] > 0x20 && character[0] < 0x7F;
  return !character.empty() && !IsWideSpace(character);
}

std::string_view CharacterBefore(std::string_view text, std::size_t at) {
  std::size_t begin = at;
  while (begin > 0 && at - begin < 4) {
    --begin;
    if (!ContinuesCharacter(text[begin])) break;
  }
  return text.substr(begin, at - begin);
}

std::string_view CharacterAt(std::string_view text, std::size_t at) {
  if (at >= text.size()) return {};
  std::size_t end = at + 1;
  while (end < text.size() && end - at < 4 && ContinuesCharacter(text[end])) ++end;
  return text.substr(at, end - at);
}

bool IsAscii(std::string_view character) {
  return character.size() == 1 && static_cast<unsigned char>(character[0]) < 0x80;
}

bool IsWideMark(std::string_view character) {
  return character == "\u3001" || character == "\u3002" || character == "\uFF01" || character == "\uFF0C" ||
         character == "\uFF1A" || character == "\uFF1B" || character == "\uFF1F";
}

bool IsBlankBetweenWords(std::string_view text, std::size_t at) {
  return text[at] == ' ' && IsVisible(CharacterBefore(text, at)) && IsVisible(CharacterAt(text, at + 1));
}

// Whether all patterns begin a word at `at`.
bool BeginsWord(std::string_view text, std::size_t at) {
  const std::string_view next = CharacterAt(text, at);
  const std::string_view before = CharacterBefore(text, at);
  if (next == " ") return IsBlankBetweenWords(text, at) && IsAsciiLetter(text[at + 1]);
  if (before == "\n") {
    return IsVisible(CharacterBefore(text, at - 1)) && IsVisible(next) && (!IsAscii(next) || IsAsciiLetter(next[0]));
  }
  return IsWideMark(next) && IsVisible(before) && !IsAscii(before) && !IsWideMark(before);
}

bool Divides(const WholeText& whole, std::string_view text, std::size_t at) {
  const std::size_t size = whole.text.size();
  // From where it would begin right after a blank that it takes, to where it ends right before one.
  const std::size_t first = at >= size ? at - size : 0;
  for (std::size_t begin = first; begin <= at + 1 && begin + size <= text.size(); ++begin) {
    const bool is_inside = begin < at && at < begin + size;
    const bool takes = (whole.takes_after && begin + size == at) || (whole.takes_before && begin == at + 1);
    if ((is_inside || takes) && text.substr(begin, size) == whole.text) return true;
  }
  return false;
}

}  // namespace

std::size_t PieceEnd(std::string_view text, std::size_t begin, std::size_t bytes_max,
                     std::span<const WholeText> whole) {
  if (text.size() - begin <= bytes_max) return text.size();
  const std::size_t last = begin + bytes_max;
  const auto divides_any = [&](std::size_t at) {
    return std::ranges::any_of(whole, [&](const WholeText& one) { return Divides(one, text, at); });
  };
  for (const auto& is_place : {&BeginsWord, &IsBlankBetweenWords}) {
    for (std::size_t at = last; at > begin; --at) {
      if (is_place(text, at) && !divides_any(at)) return at;
    }
  }
  const auto character_start = [&](std::size_t at) {
    for (int i = 0; i < 3 && at > begin + 1 && ContinuesCharacter(text[at]); ++i) --at;
    return at;
  };
  const std::size_t end = character_start(last);
  for (std::size_t at = end; at > begin + 1 && end - at < kStepsBackMax; at = character_start(at - 1)) {
    if (!divides_any(at)) return at;
  }
  return end;
}

}  // namespace allod::inference::engine::text
