// What a grammar allows, found out independently of llama.cpp: random texts of it, and whether a text is one.
#pragma once

#include <random>
#include <string>
#include <string_view>

#include "inference/schema/grammar.h"

namespace allod::test {

// A text of `root`; comes to its end soon after `symbols_soft_max` symbols.
std::string RandomText(const inference::schema::Grammar& grammar, inference::schema::RuleId root, std::mt19937& random,
                       std::size_t symbols_soft_max);

bool Accepts(const inference::schema::Grammar& grammar, inference::schema::RuleId root, std::string_view text);

}  // namespace allod::test
