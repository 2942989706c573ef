// In how many ways the rules of a grammar can begin.
//
// llama.cpp goes down all of them: once when it looks for left recursion, where it walks through whatever a rule may
// begin with, again for each way that leads there, and allocates nothing meanwhile, so that no AllocationBudget ends
// it; and for each character that is taken over, where it keeps what it has seen. Each of a few rules that mention the
// next one twice doubles the ways:
//
//   r0 ::= r1 r1 | r1      r1 ::= r2 r2 | r2      ...      r30 ::= "a" | ""
//
// The ways of a rule are: itself, and the ways of each rule that it mentions, as often as it does, behind nothing but
// what may be empty. So a rule that may be empty in many ways counts once: what follows it is the same after each.
//
// Pure; takes time in proportion to the grammar.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "inference/schema/grammar.h"

namespace allod::inference::schema {

// Some tens of milliseconds. Grammars of ordinary size, and what is made of schemas, have some thousands.
inline constexpr std::uint64_t kBeginningsMax = 2'000'000;

// For each rule those that it may begin with, as often as it mentions them there.
std::vector<std::vector<RuleId>> LeftmostRules(const Grammar& grammar);

// The ways of each rule, at most kBeginningsMax + 1. With left recursion there is no end of them.
std::vector<std::uint64_t> BeginningsOf(const Grammar& grammar);

// Names a rule to be changed, when the ways are more than kBeginningsMax, those of rules that another has as its own
// not counted again. Empty: they are not.
std::string WhyTooAmbiguous(const Grammar& grammar);

}  // namespace allod::inference::schema
