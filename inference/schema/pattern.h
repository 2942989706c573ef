// Regular expressions as JSON Schema means them: ECMA-262 with the flag `u`, of which the regular part is taken.
//
// Taken: characters, `.`, classes, \d \D \w \W \s \S, the escapes of ECMA-262 (\n \t \xHH \uHHHH \u{...} and so on),
// groups (plain, `(?:`, named), `|`, the quantifiers * + ? {n} {n,} {n,m} up to 1,000, greedy or lazy, and `^` and `$`
// at the ends of the outermost alternatives. A pattern without these may match anywhere in the text. Refused:
// look-around, back references, \b \B \p \P \c, flags, and what `u` makes a syntax error.
#pragma once

#include <expected>
#include <string>
#include <string_view>

#include "inference/schema/automaton.h"

namespace allod::inference::schema {

// The language of whole texts that match. The error says what is not taken and at which character (from 1).
std::expected<ExpressionPtr, std::string> ParsePattern(std::string_view pattern);

}  // namespace allod::inference::schema
