#include "tests/schema/grammar_walk.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <utility>
#include <vector>

namespace allod::test {
namespace {

using inference::schema::CodePointRange;
using inference::schema::CodePoints;
using inference::schema::Decode;
using inference::schema::Grammar;
using inference::schema::RuleId;
using inference::schema::Sequence;
using inference::schema::Symbol;

constexpr std::size_t kEndless = 1 << 30;

// For each rule, how deep its shallowest derivation is.
std::vector<std::size_t> Heights(const Grammar& grammar) {
  std::vector<std::size_t> heights(grammar.size(), kEndless);
  for (bool changed = true; changed;) {
    changed = false;
    for (RuleId id = static_cast<RuleId>(grammar.size()); id-- > 0;) {
      for (const Sequence& sequence : grammar.rule(id).alternatives) {
        std::size_t height = 0;
        for (const Symbol& symbol : sequence) {
          if (const auto* rule = std::get_if<RuleId>(&symbol.what)) height = std::max(height, heights[*rule]);
        }
        if (height + 1 < heights[id]) {
          heights[id] = height + 1;
          changed = true;
        }
      }
    }
  }
  return heights;
}

std::size_t Below(std::mt19937& random, std::size_t end) {
  return std::uniform_int_distribution<std::size_t>(0, end - 1)(random);
}

std::uint32_t OneOf(const CodePoints& set, std::mt19937& random) {
  const CodePointRange& range = set.ranges()[Below(random, set.ranges().size())];
  const std::size_t size = range.last - range.first + 1;
  // Mostly from the beginning, where ASCII is.
  return range.first +
         static_cast<std::uint32_t>(Below(random, Below(random, 8) == 0 ? size : std::min<std::size_t>(size, 64)));
}

// Follows all derivations at once. A frame is a place in an alternative and what to go on with behind it.
class Follower {
 public:
  Follower(const Grammar& grammar, RuleId root) : grammar_(grammar) {
    std::set<Place> start;
    Enter(root, 0, start);
    places_ = std::move(start);
  }

  void Read(std::uint32_t c) {
    std::set<Place> next;
    for (const auto& [frame, offset] : places_) {
      if (frame == 0) continue;
      const Symbol& symbol = At(frame);
      if (const auto* set = std::get_if<CodePoints>(&symbol.what)) {
        if (set->Contains(c)) Behind(frame, next);
      } else if (const auto* literal = std::get_if<std::string>(&symbol.what)) {
        const auto characters = Decode(*literal);
        if (characters[offset] != c) continue;
        if (offset + 1 < characters.size()) {
          next.insert({frame, offset + 1});
        } else {
          Behind(frame, next);
        }
      }
    }
    places_ = std::move(next);
  }

  bool is_dead() const { return places_.empty(); }
  bool may_end() const { return places_.contains({0, 0}); }

 private:
  using Frame = std::size_t;  // 0: behind everything
  using Place = std::pair<Frame, std::size_t>;
  struct Data {
    RuleId rule;
    std::size_t alternative, index;
    Frame then;
    auto operator<=>(const Data&) const = default;
  };

  const Symbol& At(Frame frame) const {
    const Data& data = frames_[frame - 1];
    return grammar_.rule(data.rule).alternatives[data.alternative][data.index];
  }

  void Enter(RuleId rule, Frame then, std::set<Place>& out) {
    for (std::size_t i = 0; i < grammar_.rule(rule).alternatives.size(); ++i) Go({rule, i, 0, then}, out);
  }

  void Behind(Frame frame, std::set<Place>& out) {
    Data data = frames_[frame - 1];
    ++data.index;
    Go(data, out);
  }

  void Go(Data data, std::set<Place>& out) {
    const Sequence& sequence = grammar_.rule(data.rule).alternatives[data.alternative];
    // A text of nothing is read at once.
    while (data.index < sequence.size()) {
      const auto* literal = std::get_if<std::string>(&sequence[data.index].what);
      if (literal == nullptr || !literal->empty()) break;
      ++data.index;
    }
    if (data.index == sequence.size()) {
      if (data.then == 0) {
        out.insert({0, 0});
      } else {
        Behind(data.then, out);
      }
      return;
    }
    const auto [at, is_new] = known_.try_emplace(data, frames_.size() + 1);
    if (is_new) frames_.push_back(data);
    const Frame frame = at->second;
    const auto* rule = std::get_if<RuleId>(&sequence[data.index].what);
    if (!out.insert({frame, 0}).second || rule == nullptr) return;
    // What follows a last symbol is what follows the whole.
    Enter(*rule, data.index + 1 == sequence.size() && data.then != 0 ? data.then : frame, out);
  }

  const Grammar& grammar_;
  std::vector<Data> frames_;
  std::map<Data, Frame> known_;
  std::set<Place> places_;
};

}  // namespace

std::string RandomText(const Grammar& grammar, RuleId root, std::mt19937& random, std::size_t symbols_soft_max) {
  const auto heights = Heights(grammar);
  std::string out;
  std::vector<Symbol> open{inference::schema::Ref(root)};
  for (std::size_t taken = 0; !open.empty(); ++taken) {
    const Symbol symbol = std::move(open.back());
    open.pop_back();
    if (const auto* literal = std::get_if<std::string>(&symbol.what)) out += *literal;
    if (const auto* set = std::get_if<CodePoints>(&symbol.what))
      inference::schema::AppendUtf8(OneOf(*set, random), out);
    const auto* rule = std::get_if<RuleId>(&symbol.what);
    if (rule == nullptr) continue;
    const auto& alternatives = grammar.rule(*rule).alternatives;
    const Sequence* chosen = &alternatives[Below(random, alternatives.size())];
    if (taken > symbols_soft_max) {
      const auto height = [&](const Sequence& sequence) {
        std::size_t most = 0;
        for (const Symbol& one : sequence) {
          if (const auto* id = std::get_if<RuleId>(&one.what)) most = std::max(most, heights[*id]);
        }
        return most;
      };
      chosen = &*std::ranges::min_element(alternatives, {}, height);
    }
    open.insert(open.end(), chosen->rbegin(), chosen->rend());
  }
  return out;
}

bool Accepts(const Grammar& grammar, RuleId root, std::string_view text) {
  Follower follower(grammar, root);
  for (const std::uint32_t c : Decode(text)) {
    follower.Read(c);
    if (follower.is_dead()) return false;
  }
  return follower.may_end();
}

}  // namespace allod::test
