// JSON strings as rules of a grammar: which characters stand for themselves, and which are escaped.
#pragma once

#include <cstdint>

#include "inference/schema/automaton.h"
#include "inference/schema/grammar.h"

namespace allod::inference::schema {

// A string of `low` to `high` code points, quotes included, with every escape that JSON has.
RuleId AnyString(Grammar& grammar, std::uint64_t low, std::uint64_t high);

// A string whose value the automaton accepts, quotes included. Characters are escaped only where JSON demands it.
RuleId StringOf(Grammar& grammar, const Automaton& automaton);

// The texts that the automaton accepts, as they are.
RuleId TextOf(Grammar& grammar, const Automaton& automaton);

}  // namespace allod::inference::schema
