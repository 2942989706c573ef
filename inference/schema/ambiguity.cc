#include "inference/schema/ambiguity.h"

#include <fmt/format.h>

#include <algorithm>

#include "inference/schema/steps.h"

namespace allod::inference::schema {
namespace {

constexpr std::uint64_t kTooMany = kBeginningsMax + 1;

bool IsNothing(const Symbol& symbol) {
  const auto* literal = std::get_if<std::string>(&symbol.what);
  return literal != nullptr && literal->empty();
}

std::vector<std::uint64_t> BeginningsOf(const std::vector<std::vector<RuleId>>& leftmost) {
  std::vector<std::uint64_t> out(leftmost.size());  // 0: not known yet
  std::vector<bool> is_open(leftmost.size());
  for (RuleId start = 0; start < leftmost.size(); ++start) {
    std::vector<RuleId> path{start};
    while (!path.empty()) {
      const RuleId id = path.back();
      if (out[id] > 0) {
        path.pop_back();
        continue;
      }
      StepBudget::Spend(leftmost[id].size() + 1);
      if (!is_open[id]) {
        is_open[id] = true;
        for (const RuleId next : leftmost[id]) {
          if (out[next] == 0 && !is_open[next]) path.push_back(next);
        }
        continue;
      }
      // All that come first are known, but those that this one comes first in.
      std::uint64_t ways = 1;
      for (const RuleId next : leftmost[id]) ways = std::min(kTooMany, ways + (out[next] > 0 ? out[next] : kTooMany));
      out[id] = ways;
      path.pop_back();
    }
  }
  return out;
}

}  // namespace

std::vector<std::vector<RuleId>> LeftmostRules(const Grammar& grammar) {
  const std::vector<bool> may_be_empty = grammar.RulesOf(IsNothing);
  std::vector<std::vector<RuleId>> out(grammar.size());
  for (RuleId id = 0; id < grammar.size(); ++id) {
    for (const Sequence& sequence : grammar.rule(id).alternatives) {
      for (const Symbol& symbol : sequence) {
        StepBudget::Spend();
        const auto* rule = std::get_if<RuleId>(&symbol.what);
        if (rule != nullptr) out[id].push_back(*rule);
        if (rule != nullptr ? !may_be_empty[*rule] : !IsNothing(symbol)) break;
      }
    }
  }
  return out;
}

std::vector<std::uint64_t> BeginningsOf(const Grammar& grammar) { return BeginningsOf(LeftmostRules(grammar)); }

std::string WhyTooAmbiguous(const Grammar& grammar) {
  const std::vector<std::vector<RuleId>> leftmost = LeftmostRules(grammar);
  const std::vector<std::uint64_t> ways = BeginningsOf(leftmost);
  std::uint64_t total = 0;
  std::vector<bool> visited(grammar.size());
  for (RuleId start = 0; start < grammar.size(); ++start) {
    if (visited[start]) continue;
    total = std::min(kTooMany, total + ways[start]);
    std::vector<RuleId> open{start};
    while (!open.empty()) {
      const RuleId id = open.back();
      open.pop_back();
      if (visited[id]) continue;
      visited[id] = true;
      StepBudget::Spend(leftmost[id].size() + 1);
      open.insert(open.end(), leftmost[id].begin(), leftmost[id].end());
    }
  }
  if (total <= kBeginningsMax) return "";
  // The innermost that has too many by itself, else the one with most.
  RuleId worst = 0;
  for (RuleId id = 0; id < grammar.size(); ++id) {
    const bool is_inner = ways[id] == kTooMany && ways[worst] == kTooMany &&
                          std::ranges::none_of(leftmost[id], [&](RuleId next) { return ways[next] == kTooMany; });
    if (ways[id] > ways[worst] || is_inner) worst = id;
  }
  return fmt::format(
      "its rules can begin in more than {} ways, all of which would have to be followed; make the rule '{}' less "
      "ambiguous",
      kBeginningsMax, grammar.rule(worst).name);
}

}  // namespace allod::inference::schema
