#include "inference/schema/grammar.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "inference/schema/steps.h"

namespace allod::inference::schema {
namespace {

// Longer repetitions are made of blocks, so that a grammar grows with the square root of a bound.
constexpr std::uint64_t kPlainRepeatMax = 32;

std::string EscapedLiteral(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (byte < 0x20 || byte == 0x7F) {
      out += fmt::format("\\x{:02X}", byte);
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::string ClassCharacter(std::uint32_t c) {
  const bool is_plain =
      (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == ' ' || c == '_';
  if (is_plain) return std::string(1, static_cast<char>(c));
  if (c <= 0xFF) return fmt::format("\\x{:02X}", c);
  return c <= 0xFFFF ? fmt::format("\\u{:04X}", c) : fmt::format("\\U{:08X}", c);
}

std::string ClassText(const CodePoints& set) {
  std::string out = "[";
  for (const CodePointRange& range : set.ranges()) {
    out += ClassCharacter(range.first);
    if (range.last > range.first) out += "-" + ClassCharacter(range.last);
  }
  return out + "]";
}

// In GBNF a literal of nothing stands for the empty sequence.
template <typename NameOf>
std::string SequenceText(const Sequence& sequence, const NameOf& name_of) {
  std::string out;
  for (const Symbol& symbol : sequence) {
    if (!out.empty()) out += ' ';
    if (const auto* literal = std::get_if<std::string>(&symbol.what)) out += EscapedLiteral(*literal);
    if (const auto* set = std::get_if<CodePoints>(&symbol.what)) out += ClassText(*set);
    if (const auto* rule = std::get_if<RuleId>(&symbol.what)) out += name_of(*rule);
    if (const auto* token = std::get_if<TokenText>(&symbol.what)) out += token->text;
  }
  return out.empty() ? "\"\"" : out;
}

}  // namespace

RuleId Grammar::Add(std::string_view name) {
  if (rules_.size() >= kRulesMax) throw TooLarge(fmt::format("its grammar would have more than {} rules", kRulesMax));
  rules_.push_back({std::string(name), {}});
  return static_cast<RuleId>(rules_.size() - 1);
}

RuleId Grammar::Add(std::string_view name, std::vector<Sequence> alternatives) {
  const RuleId id = Add(name);
  for (Sequence& alternative : alternatives) AddAlternative(id, std::move(alternative));
  return id;
}

void Grammar::AddAlternative(RuleId rule, Sequence alternative) {
  symbols_ += alternative.size() + 1;
  if (symbols_ > kSymbolsMax) throw TooLarge(fmt::format("its grammar would have more than {} symbols", kSymbolsMax));
  rules_.at(rule).alternatives.push_back(std::move(alternative));
}

RuleId Grammar::Repeat(std::string_view name, const Symbol& item, std::uint64_t low, std::uint64_t high) {
  // Exactly `count` times, in blocks of blocks.
  const auto exactly = [&](std::uint64_t count, const auto& self) -> Sequence {
    if (count <= kPlainRepeatMax) return Sequence(count, item);
    std::uint64_t block = 1;
    while (block * block < count) ++block;
    const RuleId one = Add(name, {self(block, self)});
    Sequence out(count / block, Ref(one));
    Sequence rest = self(count % block, self);
    out.insert(out.end(), rest.begin(), rest.end());
    return out;
  };
  // A chain of rules: nothing, or one `step` and the next.
  const auto up_to = [&](std::uint64_t count, const Symbol& step, RuleId then) {
    RuleId next = then;
    for (std::uint64_t i = 0; i < count; ++i) next = Add(name, {{step, Ref(next)}, {Ref(then)}});
    return next;
  };
  Sequence sequence = exactly(low, exactly);
  if (high == kUnlimited) {
    const RuleId more = Add(name);
    AddAlternative(more, {item, Ref(more)});
    AddAlternative(more, {});
    sequence.push_back(Ref(more));
  } else if (high > low) {
    const std::uint64_t open = high - low;
    const RuleId end = Add(name, {{}});
    if (open <= kPlainRepeatMax) {
      sequence.push_back(Ref(up_to(open, item, end)));
    } else {
      // Any number of whole blocks, then less than a block; what is left over beside the blocks comes last.
      std::uint64_t block = 1;
      while (block * block < open) ++block;
      const RuleId whole = Add(name, {exactly(block, exactly)});
      const RuleId part = up_to(block - 1, item, end);
      const RuleId last = up_to(open - (open / block) * block, item, end);
      // `n` blocks at most: a whole one and then n - 1, or a part of one as the end.
      RuleId blocks = last;
      for (std::uint64_t i = 0; i < open / block; ++i) blocks = Add(name, {{Ref(whole), Ref(blocks)}, {Ref(part)}});
      sequence.push_back(Ref(blocks));
    }
  }
  return Add(name, {std::move(sequence)});
}

RuleId Grammar::Import(const Grammar& other, RuleId root) {
  std::map<RuleId, RuleId> known;
  std::vector<RuleId> open;
  const auto here = [&](RuleId there) {
    const auto [at, is_new] = known.try_emplace(there, 0);
    if (is_new) {
      at->second = Add(other.rule(there).name);
      open.push_back(there);
    }
    return at->second;
  };
  const RuleId out = here(root);
  while (!open.empty()) {
    const RuleId there = open.back();
    open.pop_back();
    for (Sequence sequence : other.rule(there).alternatives) {
      for (Symbol& symbol : sequence) {
        if (auto* rule = std::get_if<RuleId>(&symbol.what)) *rule = here(*rule);
      }
      AddAlternative(known.at(there), std::move(sequence));
    }
  }
  return out;
}

bool Grammar::Prune(RuleId root) {
  const auto can_be_read = [](const Symbol& symbol) {
    const auto* set = std::get_if<CodePoints>(&symbol.what);
    return set == nullptr || !set->empty();
  };
  const std::vector<bool> ends = RulesOf(can_be_read);
  const auto comes_to_an_end = [&](const Symbol& symbol) {
    const auto* rule = std::get_if<RuleId>(&symbol.what);
    return rule != nullptr ? static_cast<bool>(ends[*rule]) : can_be_read(symbol);
  };
  for (Rule& rule : rules_) {
    std::erase_if(rule.alternatives, [&](const Sequence& s) { return !std::ranges::all_of(s, comes_to_an_end); });
  }
  return ends[root];
}

std::vector<bool> Grammar::RulesOf(const std::function<bool(const Symbol&)>& holds) const {
  std::vector<bool> out(rules_.size());
  std::vector<RuleId> found;
  const auto take = [&](RuleId rule) {
    if (out[rule]) return;
    out[rule] = true;
    found.push_back(rule);
  };
  // An alternative waits until the last of the rules that it mentions is found, so each is looked at once.
  struct Waiting {
    RuleId rule;
    std::size_t mentions;
  };
  std::vector<Waiting> waiting;
  std::vector<std::vector<std::size_t>> waiting_for(rules_.size());
  for (RuleId id = 0; id < rules_.size(); ++id) {
    for (const Sequence& sequence : rules_[id].alternatives) {
      StepBudget::Spend(sequence.size() + 1);
      std::vector<RuleId> mentions;
      const bool may_hold = std::ranges::all_of(sequence, [&](const Symbol& symbol) {
        const auto* rule = std::get_if<RuleId>(&symbol.what);
        if (rule != nullptr) mentions.push_back(*rule);
        return rule != nullptr || holds(symbol);
      });
      if (!may_hold) continue;
      if (mentions.empty()) take(id);
      for (const RuleId rule : mentions) waiting_for[rule].push_back(waiting.size());
      waiting.push_back({id, mentions.size()});
    }
  }
  while (!found.empty()) {
    const RuleId id = found.back();
    found.pop_back();
    for (const std::size_t at : waiting_for[id]) {
      if (--waiting[at].mentions == 0) take(waiting[at].rule);
    }
  }
  return out;
}

std::string Grammar::Text(RuleId root) const {
  std::vector<RuleId> order{root};
  std::map<RuleId, std::string> names{{root, "root"}};
  for (std::size_t i = 0; i < order.size(); ++i) {
    for (const Sequence& sequence : rules_[order[i]].alternatives) {
      for (const Symbol& symbol : sequence) {
        const auto* rule = std::get_if<RuleId>(&symbol.what);
        if (rule == nullptr || names.contains(*rule)) continue;
        names.emplace(*rule, fmt::format("{}-{}", rules_[*rule].name, order.size()));
        order.push_back(*rule);
      }
    }
  }
  std::string out;
  for (const RuleId id : order) {
    out += names.at(id) + " ::= ";
    bool is_first = true;
    for (const Sequence& sequence : rules_[id].alternatives) {
      if (!std::exchange(is_first, false)) out += " | ";
      out += SequenceText(sequence, [&](RuleId rule) { return names.at(rule); });
    }
    out += '\n';
  }
  return out;
}

}  // namespace allod::inference::schema
