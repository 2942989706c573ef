// Reads GBNF, llama.cpp's notation of grammars, strictly: what llama.cpp would take in silence or refuse without a
// place is an error with line and column. Pure.
#pragma once

#include <expected>
#include <map>
#include <string>
#include <string_view>

#include "inference/schema/grammar.h"

namespace allod::inference::schema {

struct ParsedGbnf {
  Grammar grammar;
  std::map<std::string, RuleId, std::less<>> rules;  // those with a name; `root` is one of them
};

// The error begins with "line 3, column 7: ". Errors are: what is no GBNF; a rule that is named but not defined, or
// defined twice; no `root`; left recursion; an empty class; a token of more than 256 bytes; repetitions beyond 2,000;
// more than 32 nested groups; too large a grammar. How much llama.cpp makes of it is ambiguity.h's.
std::expected<ParsedGbnf, std::string> ParseGbnf(std::string_view gbnf);

}  // namespace allod::inference::schema
