// What llama.cpp does with a grammar before the first allocation that could end it.
//
// llama.cpp looks for left recursion by walking through whatever a rule may begin with, again for each way that leads
// there, twice over all elements of the rule each time; and it allocates nothing meanwhile, so that no AllocationBudget
// ends it. Each of a few rules that mention the next one twice doubles the ways, and a long literal, or a short one
// that is repeated, makes each of them long:
//
//   r0 ::= r1 "x" | r1 "y"      r1 ::= r2 "x" | r2 "y"      ...      r18 ::= "abcdefgh"{400}
//
// So the elements of its rules (llama_rules.h) are counted that llama_grammar_detect_left_recursion looks at. What
// counts is what llama.cpp takes for empty, which is less than what may be empty: only a rule with an alternative of no
// elements, whatever the rules that it mentions are.
//
// All that comes after allocates for each state that it finds: llama_grammar_advance_stack makes a stack for each
// alternative, and looks at no more between two of them than at the elements of one rule, which are bounded here too.
//
// Pure; takes time in proportion to the text and the elements.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "inference/schema/llama_rules.h"

namespace allod::inference::schema {

// Some tens of milliseconds. Grammars of ordinary size, and what is made of schemas, have some tens of thousands.
inline constexpr std::uint64_t kWalkMax = 20'000'000;
// How many elements llama.cpp looks at to find left recursion, at most kWalkMax + 1. With left recursion there is no
// end of them.
std::uint64_t WalkOf(const std::vector<LlamaRule>& rules);

// Why llama.cpp must not be given the text: the error of LlamaRulesOf, or the rule to be changed when the walk is
// longer than kWalkMax. Empty: it may.
std::string WhyTooAmbiguous(std::string_view gbnf);

}  // namespace allod::inference::schema
