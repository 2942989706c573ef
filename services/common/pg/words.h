// The words by which columns say an enum's values: one table for each enum, read both ways. It stands beside the rows
// that hold it:
//
//   template <>
//   inline constexpr auto kRowWords<billing::Outcome> = std::to_array<RowWord<billing::Outcome>>({
//       {billing::Outcome::kCompleted, "completed"}, ...});
//
// Such an enum is then a parameter of PgTx::Exec and a field that RowReader reads.
#pragma once

#include <array>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>

namespace allod {

template <typename Enum>
struct RowWord {
  Enum value;
  std::string_view word;
};

template <typename Enum>
inline constexpr std::array<RowWord<Enum>, 0> kRowWords{};

template <typename Enum>
concept HasRowWords = std::is_enum_v<Enum> && !kRowWords<Enum>.empty();

// Every value has a word, else it aborts.
template <HasRowWords Enum>
constexpr std::string_view ToRowWord(Enum value) {
  for (const auto& entry : kRowWords<Enum>) {
    if (entry.value == value) return entry.word;
  }
  std::abort();
}

// Throws for a word that is none of them: the database's own constraints forbid it.
template <HasRowWords Enum>
Enum FromRowWord(std::string_view word) {
  for (const auto& entry : kRowWords<Enum>) {
    if (entry.word == word) return entry.value;
  }
  throw std::runtime_error("unexpected word in a row: " + std::string(word));
}

}  // namespace allod
