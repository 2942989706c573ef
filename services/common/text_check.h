// Rules for text that people write and others read.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "services/common/result.h"

namespace allod {

struct NoText {
  std::size_t at = 0;  // byte
  std::string what;    // "is not valid UTF-8", "is the control character U+0007"
};
// Where `text` stops being UTF-8 without control characters other than line breaks and tabs; nothing if it is.
std::optional<NoText> FindNoText(std::string_view text);

// The first `chars_max` code points of what is UTF-8.
std::string CutText(std::string_view text, std::size_t chars_max);

// Valid UTF-8 (RFC 3629) of `chars_min` to `chars_max` code points without control characters; line breaks and tabs
// only if `multiline`. INVALID_ARGUMENT / INVALID_TEXT names the field and what is wrong.
Status CheckText(std::string_view field, std::string_view text, std::size_t chars_min, std::size_t chars_max,
                 bool multiline = false);

// Whether all of it is valid UTF-8 (RFC 3629).
bool IsUtf8(std::string_view text);

// 1 to 128 characters on one line.
inline Status CheckDisplayName(std::string_view field, std::string_view text) { return CheckText(field, text, 1, 128); }

}  // namespace allod
