// Rules for text that people write and others read.
#pragma once

#include <cstddef>
#include <string_view>

#include "services/common/result.h"

namespace allod {

// Valid UTF-8 (RFC 3629) of `chars_min` to `chars_max` code points without control characters; line breaks and tabs
// only if `multiline`. INVALID_ARGUMENT / INVALID_TEXT names the field and what is wrong.
Status CheckText(std::string_view field, std::string_view text, std::size_t chars_min, std::size_t chars_max,
                 bool multiline = false);

// 1 to 128 characters on one line.
inline Status CheckDisplayName(std::string_view field, std::string_view text) { return CheckText(field, text, 1, 128); }

}  // namespace allod
