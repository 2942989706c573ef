#include "inference/schema/strings.h"

#include <fmt/format.h>

#include <functional>
#include <utility>
#include <vector>

namespace allod::inference::schema {
namespace {

CodePoints MustBeEscaped() { return {{0, 0x1F}, {'"', '"'}, {'\\', '\\'}}; }
CodePoints Hexadecimal() { return {{'0', '9'}, {'A', 'F'}, {'a', 'f'}}; }

std::string Escape(std::uint32_t c) {
  switch (c) {
    case '"':
      return "\\\"";
    case '\\':
      return "\\\\";
    case '\b':
      return "\\b";
    case '\f':
      return "\\f";
    case '\n':
      return "\\n";
    case '\r':
      return "\\r";
    case '\t':
      return "\\t";
    default:
      return fmt::format("\\u{:04x}", c);
  }
}

// One escaped character of those that must be.
RuleId NeededEscape(Grammar& grammar) {
  const Symbol hex = OneOf(Hexadecimal());
  return grammar.Add(
      "escape",
      {{Literal("\\"), OneOf({{'"', '"'}, {'\\', '\\'}, {'b', 'b'}, {'f', 'f'}, {'n', 'n'}, {'r', 'r'}, {'t', 't'}})},
       {Literal("\\u00"), OneOf({{'0', '1'}}), hex}});
}

// One character in any of the ways that JSON has. Halves of surrogate pairs only come together.
RuleId AnyCharacter(Grammar& grammar) {
  const Symbol hex = OneOf(Hexadecimal());
  const CodePoints d{{'D', 'D'}, {'d', 'd'}};
  const CodePoints not_d{{'0', '9'}, {'A', 'C'}, {'E', 'F'}, {'a', 'c'}, {'e', 'f'}};
  const RuleId code = grammar.Add("code", {{OneOf(not_d), hex, hex, hex},
                                           {OneOf(d), OneOf({{'0', '7'}}), hex, hex},
                                           {OneOf(d), OneOf({{'8', '9'}, {'A', 'B'}, {'a', 'b'}}), hex, hex,
                                            Literal("\\u"), OneOf(d), OneOf({{'C', 'F'}, {'c', 'f'}}), hex, hex}});
  return grammar.Add(
      "char",
      {{OneOf(MustBeEscaped().Complement())},
       {Literal("\\"),
        OneOf({{'"', '"'}, {'/', '/'}, {'\\', '\\'}, {'b', 'b'}, {'f', 'f'}, {'n', 'n'}, {'r', 'r'}, {'t', 't'}})},
       {Literal("\\u"), Ref(code)}});
}

// A rule for each state; `edge` adds what reads a set of code points and goes on with a rule.
RuleId StatesOf(Grammar& grammar, const Automaton& automaton, const Symbol* end,
                const std::function<void(RuleId, const CodePoints&, RuleId)>& edge) {
  std::vector<RuleId> rules;
  for (std::size_t i = 0; i < automaton.states().size(); ++i) rules.push_back(grammar.Add("text"));
  for (std::size_t i = 0; i < rules.size(); ++i) {
    const Automaton::State& state = automaton.states()[i];
    for (const Automaton::Edge& one : state.edges) edge(rules[i], one.set, rules[one.target]);
    if (state.accepts) grammar.AddAlternative(rules[i], end != nullptr ? Sequence{*end} : Sequence{});
  }
  return rules.front();
}

}  // namespace

RuleId AnyString(Grammar& grammar, std::uint64_t low, std::uint64_t high) {
  const RuleId body = grammar.Repeat("chars", Ref(AnyCharacter(grammar)), low, high);
  return grammar.Add("string", {{Literal("\""), Ref(body), Literal("\"")}});
}

RuleId StringOf(Grammar& grammar, const Automaton& automaton) {
  const Symbol quote = Literal("\"");
  const RuleId escape = NeededEscape(grammar);
  const auto edge = [&](RuleId from, const CodePoints& set, RuleId to) {
    if (CodePoints plain = set & MustBeEscaped().Complement(); !plain.empty()) {
      grammar.AddAlternative(from, {OneOf(std::move(plain)), Ref(to)});
    }
    const CodePoints escaped = set & MustBeEscaped();
    if (escaped == MustBeEscaped()) {
      grammar.AddAlternative(from, {Ref(escape), Ref(to)});
      return;
    }
    for (const CodePointRange& range : escaped.ranges()) {
      for (std::uint32_t c = range.first; c <= range.last; ++c)
        grammar.AddAlternative(from, {Literal(Escape(c)), Ref(to)});
    }
  };
  const RuleId body = StatesOf(grammar, automaton, &quote, edge);
  return grammar.Add("string", {{quote, Ref(body)}});
}

RuleId TextOf(Grammar& grammar, const Automaton& automaton) {
  return StatesOf(grammar, automaton, nullptr, [&](RuleId from, const CodePoints& set, RuleId to) {
    grammar.AddAlternative(from, {OneOf(set), Ref(to)});
  });
}

}  // namespace allod::inference::schema
