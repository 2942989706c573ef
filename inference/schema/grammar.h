// A context-free grammar over Unicode code points, and its text in GBNF, llama.cpp's notation.
//
// Built by the converter of JSON schemas and by the parser of GBNF. Bounded: a builder that would exceed its limits
// throws TooLarge, which the functions that build catch. Pure; for one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "inference/schema/code_points.h"

namespace allod::inference::schema {

class TooLarge final : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

using RuleId = std::uint32_t;

// One of the model's tokens, as GBNF writes it: `<[7]>`, `<think>`, `!<think>`. Kept as text.
struct TokenText {
  std::string text;
};

struct Symbol {
  std::variant<std::string /* literal, UTF-8 */, CodePoints, RuleId, TokenText> what;
};
using Sequence = std::vector<Symbol>;

struct Rule {
  std::string name;
  std::vector<Sequence> alternatives;  // none: nothing matches
};

class Grammar {
 public:
  static constexpr std::size_t kRulesMax = 20'000;
  static constexpr std::size_t kSymbolsMax = 200'000;

  // A rule without alternatives; names are told apart by a number.
  RuleId Add(std::string_view name);
  RuleId Add(std::string_view name, std::vector<Sequence> alternatives);
  void AddAlternative(RuleId rule, Sequence alternative);

  const Rule& rule(RuleId id) const { return rules_.at(id); }
  std::size_t size() const { return rules_.size(); }

  // `low` to `high` times what `item` matches; kUnlimited: without end. Of the size of the square root of `high`.
  static constexpr std::uint64_t kUnlimited = ~std::uint64_t{0};
  RuleId Repeat(std::string_view name, const Symbol& item, std::uint64_t low, std::uint64_t high);

  // Copies what is reachable from `root` of `other`, and returns where it is now.
  RuleId Import(const Grammar& other, RuleId root);
  void Replace(RuleId rule, std::vector<Sequence> alternatives) {
    rules_.at(rule).alternatives = std::move(alternatives);
  }

  // Which rules have an alternative all of whose symbols hold; a rule that is mentioned holds when it is one of these,
  // `holds` is asked of the other symbols. Takes time in proportion to the grammar.
  std::vector<bool> RulesOf(const std::function<bool(const Symbol&)>& holds) const;

  // Takes out all that cannot come to an end. False when that is the case of `root`.
  bool Prune(RuleId root);

  // GBNF with `root` as the rule of that name, and only what is reachable from it.
  std::string Text(RuleId root) const;

 private:
  std::vector<Rule> rules_;
  std::size_t symbols_ = 0;
};

inline Symbol Literal(std::string_view text) { return Symbol{std::string(text)}; }
inline Symbol Ref(RuleId rule) { return Symbol{rule}; }
inline Symbol OneOf(CodePoints set) { return Symbol{std::move(set)}; }

}  // namespace allod::inference::schema
