#include "inference/schema/automaton.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <map>
#include <utility>

#include "inference/schema/grammar.h"
#include "inference/schema/steps.h"

namespace allod::inference::schema {
namespace {

constexpr std::size_t kNfaStatesMax = 20'000;
constexpr std::size_t kWorkMax = 4'000'000;  // visits of states while an automaton is made deterministic

[[noreturn]] void Refuse() {
  throw TooLarge(
      fmt::format("its pattern needs more than {} states; simplify it or lower its bounds", Automaton::kStatesMax));
}

// Thompson's construction.
class Nfa {
 public:
  struct State {
    CodePoints set;  // with `next`
    std::uint32_t next = 0;
    std::vector<std::uint32_t> free;  // without reading
  };

  std::uint32_t Add() {
    if (states_.size() >= kNfaStatesMax) Refuse();
    states_.emplace_back();
    return static_cast<std::uint32_t>(states_.size() - 1);
  }

  // From `from` to the state that is returned.
  std::uint32_t Build(const Expression& expression, std::uint32_t from) {
    switch (expression.kind) {
      case Expression::Kind::kOne: {
        const std::uint32_t read = Add();
        const std::uint32_t to = Add();
        states_[from].free.push_back(read);
        states_[read].set = expression.set;
        states_[read].next = to;
        return to;
      }
      case Expression::Kind::kSequence:
        for (const ExpressionPtr& part : expression.parts) from = Build(*part, from);
        return from;
      case Expression::Kind::kChoice: {
        const std::uint32_t to = Add();
        for (const ExpressionPtr& part : expression.parts) {
          const std::uint32_t begin = Add();
          states_[from].free.push_back(begin);
          const std::uint32_t end = Build(*part, begin);
          states_[end].free.push_back(to);
        }
        return to;
      }
      case Expression::Kind::kRepeat:
        break;
    }
    const Expression& part = *expression.parts.front();
    for (std::uint32_t i = 0; i < expression.low; ++i) from = Build(part, from);
    const std::uint32_t to = Add();
    states_[from].free.push_back(to);
    if (expression.high == Expression::kUnlimited) {
      const std::uint32_t again = Add();
      states_[from].free.push_back(again);
      const std::uint32_t end = Build(part, again);
      states_[end].free.push_back(again);
      states_[end].free.push_back(to);
      return to;
    }
    for (std::uint32_t i = expression.low; i < expression.high; ++i) {
      from = Build(part, from);
      states_[from].free.push_back(to);
    }
    return to;
  }

  // Sorted: everything that is reached from `from` without reading, of it what reads, and `end`.
  std::vector<std::uint32_t> Closure(std::vector<std::uint32_t> from, std::uint32_t end, std::size_t& work) const {
    constexpr std::size_t kAtOnce = 64;
    StepBudget::Spend(states_.size() / kAtOnce + from.size());
    std::vector<bool> seen(states_.size());
    std::vector<std::uint32_t> out;
    while (!from.empty()) {
      const std::uint32_t state = from.back();
      from.pop_back();
      if (seen[state]) continue;
      seen[state] = true;
      if (++work > kWorkMax) Refuse();
      if (!states_[state].set.empty() || state == end) out.push_back(state);
      StepBudget::Spend(states_[state].free.size() + 1);
      from.insert(from.end(), states_[state].free.begin(), states_[state].free.end());
    }
    std::ranges::sort(out);
    return out;
  }

  const State& at(std::uint32_t state) const { return states_[state]; }

 private:
  std::vector<State> states_;
};

// What can be read from a set of states: for each stretch of code points that nothing tells apart, where it leads.
std::map<std::vector<std::uint32_t>, CodePoints> Steps(const Nfa& nfa, const std::vector<std::uint32_t>& from) {
  std::vector<std::uint32_t> bounds;
  for (const std::uint32_t state : from) {
    for (const CodePointRange& range : nfa.at(state).set.ranges()) {
      bounds.push_back(range.first);
      bounds.push_back(range.last + 1);
    }
  }
  std::ranges::sort(bounds);
  bounds.erase(std::unique(bounds.begin(), bounds.end()), bounds.end());
  std::map<std::vector<std::uint32_t>, CodePoints> out;
  for (std::size_t i = 0; i + 1 < bounds.size(); ++i) {
    std::vector<std::uint32_t> targets;
    for (const std::uint32_t state : from) {
      if (nfa.at(state).set.Contains(bounds[i])) targets.push_back(nfa.at(state).next);
    }
    if (!targets.empty()) out[targets].Add(bounds[i], bounds[i + 1] - 1);
  }
  return out;
}

// Numbers states as they are found, and hands them out to be worked on.
template <typename Key>
class Numbering {
 public:
  std::uint32_t Of(const Key& key) {
    const auto [at, is_new] = numbers_.try_emplace(key, static_cast<std::uint32_t>(numbers_.size()));
    if (is_new) {
      if (numbers_.size() > Automaton::kStatesMax) Refuse();
      open_.push_back(key);
    }
    return at->second;
  }
  bool Next(Key& key) {
    if (open_.empty()) return false;
    key = std::move(open_.front());
    open_.pop_front();
    return true;
  }

 private:
  std::map<Key, std::uint32_t> numbers_;
  std::deque<Key> open_;
};

ExpressionPtr Make(Expression expression) { return std::make_shared<const Expression>(std::move(expression)); }

}  // namespace

ExpressionPtr OneOfSet(CodePoints set) { return Make({.kind = Expression::Kind::kOne, .set = std::move(set)}); }
ExpressionPtr InSequence(std::vector<ExpressionPtr> parts) {
  return Make({.kind = Expression::Kind::kSequence, .parts = std::move(parts)});
}
ExpressionPtr AnyOf(std::vector<ExpressionPtr> parts) {
  return Make({.kind = Expression::Kind::kChoice, .parts = std::move(parts)});
}
ExpressionPtr Repeated(ExpressionPtr part, std::uint32_t low, std::uint32_t high) {
  return Make({.kind = Expression::Kind::kRepeat, .parts = {std::move(part)}, .low = low, .high = high});
}
ExpressionPtr ExactText(std::string_view text) {
  std::vector<ExpressionPtr> parts;
  for (const std::uint32_t c : Decode(text)) parts.push_back(OneOfSet({{c, c}}));
  return InSequence(std::move(parts));
}
ExpressionPtr AnyText() { return Repeated(OneOfSet(CodePoints::All()), 0, Expression::kUnlimited); }

Automaton Automaton::Of(const Expression& expression) {
  Nfa nfa;
  const std::uint32_t start = nfa.Add();
  const std::uint32_t end = nfa.Build(expression, start);
  Numbering<std::vector<std::uint32_t>> numbering;
  std::size_t work = 0;
  numbering.Of(nfa.Closure({start}, end, work));
  Automaton out;
  for (std::vector<std::uint32_t> states; numbering.Next(states);) {
    State state;
    state.accepts = std::ranges::binary_search(states, end);
    std::map<std::uint32_t, CodePoints> edges;
    for (const auto& [targets, set] : Steps(nfa, states)) {
      CodePoints& edge = edges[numbering.Of(nfa.Closure(targets, end, work))];
      edge = edge | set;
    }
    for (auto& [target, set] : edges) state.edges.push_back({std::move(set), target});
    out.states_.push_back(std::move(state));
  }
  return out;
}

Automaton Automaton::MultiplesOf(std::uint32_t divisor) {
  Automaton out;
  for (std::uint32_t remainder = 0; remainder < divisor; ++remainder) {
    std::map<std::uint32_t, CodePoints> edges;
    for (std::uint32_t digit = 0; digit < 10; ++digit) {
      edges[(remainder * 10 + digit) % divisor].Add('0' + digit, '0' + digit);
    }
    State state;
    state.accepts = remainder == 0;
    for (auto& [target, set] : edges) state.edges.push_back({std::move(set), target});
    out.states_.push_back(std::move(state));
  }
  return out;
}

Automaton Automaton::And(const Automaton& other) const {
  Numbering<std::pair<std::uint32_t, std::uint32_t>> numbering;
  numbering.Of({0, 0});
  Automaton out;
  for (std::pair<std::uint32_t, std::uint32_t> both; numbering.Next(both);) {
    const State& a = states_[both.first];
    const State& b = other.states_[both.second];
    State state;
    state.accepts = a.accepts && b.accepts;
    for (const Edge& x : a.edges) {
      for (const Edge& y : b.edges) {
        CodePoints set = x.set & y.set;
        if (!set.empty()) state.edges.push_back({std::move(set), numbering.Of({x.target, y.target})});
      }
    }
    out.states_.push_back(std::move(state));
  }
  return out;
}

Automaton Automaton::Complement() const {
  Automaton out = *this;
  const auto sink = static_cast<std::uint32_t>(out.states_.size());
  for (State& state : out.states_) {
    state.accepts = !state.accepts;
    CodePoints read;
    for (const Edge& edge : state.edges) read = read | edge.set;
    if (CodePoints rest = read.Complement(); !rest.empty()) state.edges.push_back({std::move(rest), sink});
  }
  out.states_.push_back({true, {{CodePoints::All(), sink}}});
  return out;
}

Automaton Automaton::WithLength(std::uint64_t low, std::uint64_t high) const {
  const bool is_open = high == Grammar::kUnlimited;
  Numbering<std::pair<std::uint32_t, std::uint64_t>> numbering;  // state, and code points read (at most `low` if open)
  numbering.Of({0, 0});
  Automaton out;
  for (std::pair<std::uint32_t, std::uint64_t> at; numbering.Next(at);) {
    const auto [number, count] = at;
    State state;
    state.accepts = states_[number].accepts && count >= low;
    if (is_open || count < high) {
      const std::uint64_t next = is_open ? std::min(count + 1, low) : count + 1;
      for (const Edge& edge : states_[number].edges) {
        StepBudget::Spend(edge.set.ranges().size() + 1);
        state.edges.push_back({edge.set, numbering.Of({edge.target, next})});
      }
    }
    out.states_.push_back(std::move(state));
  }
  return out;
}

bool Automaton::Matches(std::string_view text) const {
  std::uint32_t at = 0;
  for (const std::uint32_t c : Decode(text)) {
    const auto& edges = states_[at].edges;
    const auto edge = std::ranges::find_if(edges, [&](const Edge& e) { return e.set.Contains(c); });
    if (edge == edges.end()) return false;
    at = edge->target;
  }
  return states_[at].accepts;
}

}  // namespace allod::inference::schema
