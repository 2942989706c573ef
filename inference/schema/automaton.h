// Regular languages over code points: expressions, and the deterministic automata made from them.
//
// Every construction is bounded and throws TooLarge (inference/schema/grammar.h) beyond its bound. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "inference/schema/code_points.h"

namespace allod::inference::schema {

// An expression; immutable and shared.
struct Expression;
using ExpressionPtr = std::shared_ptr<const Expression>;
struct Expression {
  enum class Kind { kOne, kSequence, kChoice, kRepeat };
  Kind kind = Kind::kSequence;
  CodePoints set;                    // kOne
  std::vector<ExpressionPtr> parts;  // the others; of a repetition the one that is repeated
  std::uint32_t low = 0;             // kRepeat
  std::uint32_t high = 0;            // kRepeat; kUnlimited: without end
  static constexpr std::uint32_t kUnlimited = ~std::uint32_t{0};
};
ExpressionPtr OneOfSet(CodePoints set);
ExpressionPtr InSequence(std::vector<ExpressionPtr> parts);  // of nothing: the empty text
ExpressionPtr AnyOf(std::vector<ExpressionPtr> parts);
ExpressionPtr Repeated(ExpressionPtr part, std::uint32_t low, std::uint32_t high);
ExpressionPtr ExactText(std::string_view text);
ExpressionPtr AnyText();

// Without an edge for a code point the text is refused; the start is state 0.
class Automaton {
 public:
  static constexpr std::size_t kStatesMax = 4096;

  struct Edge {
    CodePoints set;
    std::uint32_t target = 0;
  };
  struct State {
    bool accepts = false;
    std::vector<Edge> edges;  // no code point is in two of them
  };

  static Automaton Of(const Expression& expression);
  // Digits whose number `divisor` divides; nothing counts as 0.
  static Automaton MultiplesOf(std::uint32_t divisor);
  Automaton And(const Automaton& other) const;
  Automaton Complement() const;
  // Only texts of `low` to `high` code points; kUnlimited: without end.
  Automaton WithLength(std::uint64_t low, std::uint64_t high) const;

  bool Matches(std::string_view text) const;
  const std::vector<State>& states() const { return states_; }

 private:
  std::vector<State> states_;
};

}  // namespace allod::inference::schema
