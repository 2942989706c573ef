#include "inference/schema/schema.h"

#include <algorithm>

#include "inference/schema/converter.h"
#include "inference/schema/steps.h"

namespace allod::inference::schema {
namespace {

constexpr std::size_t kBytesMax = 64 << 10;
constexpr int kSchemaDepthMax = 32;

// Nesting of brackets outside strings.
int DepthOf(std::string_view json) {
  int depth = 0;
  int deepest = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
      continue;
    }
    if (c == '"') in_string = true;
    if (c == '{' || c == '[') deepest = std::max(deepest, ++depth);
    if (c == '}' || c == ']') --depth;
  }
  return deepest;
}

}  // namespace

std::string WhyNotRead(std::string_view schema) {
  if (schema.size() > kBytesMax) return "has more than 64 KiB";
  if (DepthOf(schema) > kSchemaDepthMax) return "is nested deeper than 32";
  // Without the order of members, which costs a look at all earlier ones for each.
  const auto json = nlohmann::json::parse(schema, nullptr, false);
  if (json.is_discarded()) return "is no valid JSON";
  return json.is_object() ? "" : "is no JSON object";
}

RuleId AddSpace(Grammar& grammar) {
  const RuleId indent = grammar.Repeat("indent", OneOf({{'\t', '\t'}, {' ', ' '}}), 0, 20);
  return grammar.Add("space", {{}, {Literal(" ")}, {Literal("\n"), Ref(indent)}});
}

std::expected<RuleId, std::string> AddSchema(std::string_view schema, Values values, Grammar& grammar) {
  if (std::string why = WhyNotRead(schema); !why.empty()) return std::unexpected("it " + why);
  const StepBudget budget;
  try {
    const Document document(Json::parse(schema));
    Converter::Parts parts{{&document.root()}};
    if (values == Values::kObjects) parts.insert({&document.any_object()});
    const RuleId rule = Converter(grammar, false).RuleFor(parts);
    if (!grammar.Prune(rule)) return std::unexpected("at \"\": no value can satisfy it");
    return rule;
  } catch (const SchemaError& e) {
    return std::unexpected(e.what());
  } catch (const TooLarge& e) {
    return std::unexpected(e.what());
  }
}

std::expected<std::string, std::string> SchemaToGbnf(std::string_view schema) {
  Grammar grammar;
  const auto rule = AddSchema(schema, Values::kAll, grammar);
  if (!rule) return std::unexpected(rule.error());
  return grammar.Text(*rule);
}

}  // namespace allod::inference::schema
