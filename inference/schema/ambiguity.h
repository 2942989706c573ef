// What llama.cpp makes of a grammar, and what it does before the first allocation that could end it.
//
// llama.cpp looks for left recursion by walking through whatever a rule may begin with, again for each way that leads
// there, twice over all elements of the rule each time; and it allocates nothing meanwhile, so that no AllocationBudget
// ends it. Each of a few rules that mention the next one twice doubles the ways, and a long literal, or a short one
// that is repeated, makes each of them long:
//
//   r0 ::= r1 "x" | r1 "y"      r1 ::= r2 "x" | r2 "y"      ...      r18 ::= "abcdefgh"{400}
//
// So its rules are made here as it makes them, of the very text that it is given (llama_grammar_parser in its
// src/llama-grammar.cpp, whose order and numbers of rules these are), and the elements are counted that
// llama_grammar_detect_left_recursion looks at. What counts is what llama.cpp takes for empty, which is less than what
// may be empty: only a rule with an alternative of no elements, whatever the rules that it mentions are.
//
// All that comes after allocates for each state that it finds: llama_grammar_advance_stack makes a stack for each
// alternative, and looks at no more between two of them than at the elements of one rule, which are bounded here too.
//
// Pure; takes time in proportion to the text and the elements.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

namespace allod::inference::schema {

// Some tens of milliseconds. Grammars of ordinary size, and what is made of schemas, have some tens of thousands.
inline constexpr std::uint64_t kWalkMax = 20'000'000;
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

// How many elements llama.cpp looks at to find left recursion, at most kWalkMax + 1. With left recursion there is no
// end of them.
std::uint64_t WalkOf(const std::vector<LlamaRule>& rules);

// Why llama.cpp must not be given the text: the error of LlamaRulesOf, or the rule to be changed when the walk is
// longer than kWalkMax. Empty: it may.
std::string WhyTooAmbiguous(std::string_view gbnf);

}  // namespace allod::inference::schema
