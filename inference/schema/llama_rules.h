// What llama.cpp makes of a grammar: its rules, of the very text that it is given (llama_grammar_parser in its
// src/llama-grammar.cpp, whose order and numbers of rules these are). A second reader of GBNF beside gbnf.h, because
// that one makes of a text what it means, and this one what llama.cpp has to work on: groups and repetitions become
// further rules, and what is repeated is written out.
//
// Pure; takes time in proportion to the text and the elements.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

namespace allod::inference::schema {

// llama.cpp's MAX_REPETITION_THRESHOLD.
inline constexpr std::uint32_t kRepetitionsMax = 2000;
inline constexpr int kGroupDepthMax = 32;
// llama.cpp keeps some 24 bytes for an element and some 300 for a rule; a compilation may take 32 MiB.
inline constexpr std::size_t kLlamaElementsMax = 1'000'000;
inline constexpr std::size_t kLlamaRulesMax = 50'000;
// Of one class; llama.cpp goes through all of them for each token that it checks.
inline constexpr std::size_t kLlamaClassMax = 4'096;
// Token texts go to the tokeniser, which recurses for each character of a word.
inline constexpr std::size_t kTokenBytesMax = 256;

struct LlamaElement {
  enum class Kind : std::uint8_t { kEnd, kAlternative, kRule, kOther };
  Kind kind = Kind::kOther;
  std::uint32_t rule = 0;  // of kRule
};

struct LlamaRule {
  std::string name;                    // of the rule in the text that it comes from
  std::vector<LlamaElement> elements;  // the last is kEnd
};

// In llama.cpp's order. The error, with a place, is what llama.cpp would not parse either, or what exceeds one of the
// limits above.
std::expected<std::vector<LlamaRule>, std::string> LlamaRulesOf(std::string_view gbnf);

}  // namespace allod::inference::schema
