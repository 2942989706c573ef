#include "inference/schema/ambiguity.h"

#include <fmt/format.h>

#include <algorithm>

namespace allod::inference::schema {
namespace {

using Kind = LlamaElement::Kind;

constexpr std::uint64_t kTooMany = kWalkMax + 1;

bool IsEnd(const LlamaElement& element) { return element.kind == Kind::kEnd || element.kind == Kind::kAlternative; }

// What one visit to a rule does.
struct Visit {
  std::uint64_t looks = 0;           // at elements, in both passes
  std::vector<std::uint32_t> rules;  // that are visited from there, each as often as it is
};

std::vector<Visit> VisitsOf(const std::vector<LlamaRule>& rules) {
  std::vector<Visit> out(rules.size());
  std::vector<bool> is_empty(rules.size());
  // The first pass ends at an alternative of nothing.
  for (std::size_t id = 0; id < rules.size(); ++id) {
    bool at_start = true;
    for (const LlamaElement& element : rules[id].elements) {
      ++out[id].looks;
      is_empty[id] = IsEnd(element) && at_start;
      if (is_empty[id]) break;
      at_start = IsEnd(element);
    }
  }
  // The second goes on behind a rule only after it was visited, so that it is known by then whether that one is empty.
  for (std::size_t id = 0; id < rules.size(); ++id) {
    out[id].looks += rules[id].elements.size();
    bool is_leftmost = true;
    for (const LlamaElement& element : rules[id].elements) {
      const bool is_visited = element.kind == Kind::kRule && is_leftmost;
      if (is_visited) out[id].rules.push_back(element.rule);
      is_leftmost = is_visited ? static_cast<bool>(is_empty[element.rule]) : IsEnd(element);
    }
  }
  return out;
}

// Of a visit to each rule, with all the visits from there.
std::vector<std::uint64_t> WalksOf(const std::vector<Visit>& visits) {
  std::vector<std::uint64_t> out(visits.size());  // 0: not known yet
  std::vector<bool> is_open(visits.size());
  for (std::uint32_t start = 0; start < visits.size(); ++start) {
    std::vector<std::uint32_t> path{start};
    while (!path.empty()) {
      const std::uint32_t id = path.back();
      if (out[id] > 0) {
        path.pop_back();
        continue;
      }
      if (!is_open[id]) {
        is_open[id] = true;
        for (const std::uint32_t next : visits[id].rules) {
          if (out[next] == 0 && !is_open[next]) path.push_back(next);
        }
        continue;
      }
      // All that are visited from here are known, but those that this one is visited from.
      std::uint64_t walk = std::min(kTooMany, visits[id].looks);
      for (const std::uint32_t next : visits[id].rules)
        walk = std::min(kTooMany, walk + (out[next] > 0 ? out[next] : kTooMany));
      out[id] = walk;
      path.pop_back();
    }
  }
  return out;
}

// llama.cpp starts at each rule in turn that no earlier start has led to.
std::uint64_t TotalOf(const std::vector<Visit>& visits, const std::vector<std::uint64_t>& walks) {
  std::uint64_t total = 0;
  std::vector<bool> is_visited(visits.size());
  for (std::uint32_t start = 0; start < visits.size(); ++start) {
    if (is_visited[start]) continue;
    total = std::min(kTooMany, total + walks[start]);
    std::vector<std::uint32_t> open{start};
    while (!open.empty()) {
      const std::uint32_t id = open.back();
      open.pop_back();
      if (is_visited[id]) continue;
      is_visited[id] = true;
      open.insert(open.end(), visits[id].rules.begin(), visits[id].rules.end());
    }
  }
  return total;
}

}  // namespace

std::uint64_t WalkOf(const std::vector<LlamaRule>& rules) {
  const std::vector<Visit> visits = VisitsOf(rules);
  return TotalOf(visits, WalksOf(visits));
}

std::string WhyTooAmbiguous(std::string_view gbnf) {
  const auto rules = LlamaRulesOf(gbnf);
  if (!rules) return rules.error();
  const std::vector<Visit> visits = VisitsOf(*rules);
  const std::vector<std::uint64_t> walks = WalksOf(visits);
  if (TotalOf(visits, walks) <= kWalkMax) return "";
  // The innermost that is too many by itself, else the one with most.
  std::size_t worst = 0;
  for (std::size_t id = 0; id < walks.size(); ++id) {
    const bool is_inner =
        walks[id] == kTooMany && walks[worst] == kTooMany &&
        std::ranges::none_of(visits[id].rules, [&](std::uint32_t next) { return walks[next] == kTooMany; });
    if (walks[id] > walks[worst] || is_inner) worst = id;
  }
  return fmt::format(
      "its rules can begin in so many ways that more than {} of their parts would have to be looked at; make the rule "
      "'{}' less ambiguous, or what it begins with shorter",
      kWalkMax, (*rules)[worst].name);
}

}  // namespace allod::inference::schema
