// How near a word is to another: for "did you mean".
#pragma once

#include <cstddef>
#include <string_view>

namespace allod {

// How many bytes must be put in, left out or exchanged (Levenshtein 1966). Work is the product of the lengths.
std::size_t EditDistance(std::string_view a, std::string_view b);

}  // namespace allod
