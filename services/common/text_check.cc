#include "services/common/text_check.h"

#include <fmt/format.h>

#include <cstdint>

namespace allod {
namespace {

// Bytes of the code point that starts at text[at], 0 if none does (truncated, overlong, surrogate, past U+10FFFF).
std::size_t CodePoint(std::string_view text, std::size_t at, std::uint32_t& out) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(at);
  if (lead < 0x80) {
    out = lead;
    return 1;
  }
  const std::size_t size = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || at + size > text.size()) return 0;
  out = lead & (0xffu >> (size + 1));
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(at + i) & 0xc0) != 0x80) return 0;
    out = out << 6 | (byte(at + i) & 0x3fu);
  }
  const std::uint32_t least = size == 4 ? 0x10000 : size == 3 ? 0x800 : 0x80;
  return out < least || out > 0x10ffff || (out >= 0xd800 && out <= 0xdfff) ? 0 : size;
}

bool IsControl(std::uint32_t code) { return code < 0x20 || (code >= 0x7f && code < 0xa0); }
bool BreaksLine(std::uint32_t code) { return code == '\n' || code == '\r' || code == '\t'; }

}  // namespace

std::optional<NoText> FindNoText(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    std::uint32_t code = 0;
    const std::size_t size = CodePoint(text, at, code);
    if (size == 0) return NoText{at, "is not valid UTF-8"};
    if (IsControl(code) && !BreaksLine(code)) return NoText{at, fmt::format("is the control character U+{:04X}", code)};
    at += size;
  }
  return std::nullopt;
}

bool IsUtf8(std::string_view text) {
  std::uint32_t ignored = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t size = CodePoint(text, at, ignored);
    if (size == 0) return false;
    at += size;
  }
  return true;
}

std::string CutText(std::string_view text, std::size_t chars_max) {
  std::size_t end = 0;
  for (std::size_t chars = 0; end < text.size(); ++end) {
    const bool begins_one = (static_cast<unsigned char>(text[end]) & 0xC0U) != 0x80U;
    if (begins_one && chars++ == chars_max) break;
  }
  return std::string(text.substr(0, end));
}

Status CheckText(std::string_view field, std::string_view text, std::size_t chars_min, std::size_t chars_max,
                 bool multiline) {
  const auto bad = [&](std::string what) -> Status {
    return InvalidArgument("INVALID_TEXT", fmt::format("{}: {}", field, what));
  };
  std::size_t chars = 0;
  for (std::size_t at = 0; at < text.size(); ++chars) {
    std::uint32_t code = 0;
    const std::size_t size = CodePoint(text, at, code);
    if (size == 0) return bad(fmt::format("is not valid UTF-8 at byte {}", at));
    if (IsControl(code) && !(multiline && BreaksLine(code))) {
      return bad(fmt::format("has the control character U+{:04X} at byte {}", code, at));
    }
    at += size;
    if (chars >= chars_max) return bad(fmt::format("is longer than {} characters", chars_max));
  }
  if (chars < chars_min) {
    return bad(chars == 0 ? fmt::format("is empty; give {} to {} characters", chars_min, chars_max)
                          : fmt::format("has {} characters; give {} to {}", chars, chars_min, chars_max));
  }
  return {};
}

}  // namespace allod
