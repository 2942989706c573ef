#include "inference/schema/document.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <set>

#include "inference/schema/formats.h"
#include "inference/schema/grammar.h"
#include "inference/schema/pattern.h"
#include "inference/schema/steps.h"

namespace allod::inference::schema {
namespace {

constexpr std::uint64_t kCountMax = 65'536;
constexpr int kDocumentDepthMax = 64;
constexpr std::size_t kLiteralsMax = 1'000;
constexpr std::size_t kLocationBytesMax = 200;

constexpr std::string_view kAnnotations[] = {
    "$comment", "$schema",  "$id",       "title",      "description",      "default",         "examples",
    "example",  "readOnly", "writeOnly", "deprecated", "contentMediaType", "contentEncoding", "discriminator"};

bool IsAnnotation(std::string_view keyword) {
  return keyword.starts_with("x-") || std::ranges::find(kAnnotations, keyword) != std::end(kAnnotations);
}

std::string WithBackslashes(std::string_view text) {
  return Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

SchemaError::SchemaError(const std::string& pointer, std::string_view what)
    : std::runtime_error(fmt::format(
          "at \"{}\": {}", pointer.size() <= kLocationBytesMax ? pointer : pointer.substr(0, kLocationBytesMax) + "…",
          what)) {}

Types TypeOf(const Json& value) {
  switch (value.type()) {
    case Json::value_t::null:
      return kNull;
    case Json::value_t::boolean:
      return kBoolean;
    case Json::value_t::number_integer:
    case Json::value_t::number_unsigned:
      return kInteger;
    case Json::value_t::number_float: {
      const auto decimal = Decimal::Parse(value.dump());
      return decimal && decimal->is_integer() ? kInteger : kFraction;
    }
    case Json::value_t::string:
      return kString;
    case Json::value_t::array:
      return kArray;
    default:
      return kObject;
  }
}

const Schema* Schema::Property(std::string_view name) const {
  StepBudget::Spend(properties.size());
  const auto found = std::ranges::find(properties, name, [](const auto& p) -> std::string_view { return p.first; });
  return found == properties.end() ? nullptr : found->second;
}

std::string PointerToken(std::string_view name) {
  std::string out;
  for (const char c : name) {
    if (c == '~') {
      out += "~0";
    } else if (c == '/') {
      out += "~1";
    } else {
      out += c;
    }
  }
  return out;
}

// Reads one document; keywords in the order of the standard.
class DocumentReader {
 public:
  explicit DocumentReader(Document& out) : out_(out) {}

  void Run(const Json& json) {
    out_.root_ = Read(json, "", 0);
    for (const auto& [schema, target] : refs_) Resolve(*schema, target);
    for (const auto& schema : out_.schemas_) CheckNoCircle(*schema);
  }

 private:
  Schema* Read(const Json& json, const std::string& pointer, int depth) {
    if (depth > kDocumentDepthMax) throw SchemaError(pointer, "it is nested too deep");
    Schema& schema = *out_.schemas_.emplace_back(std::make_unique<Schema>());
    schema.number_in_document = out_.schemas_.size();
    schema.pointer = pointer;
    by_pointer_[pointer] = &schema;
    if (json.is_boolean()) {
      schema.is_never = !json.get<bool>();
      return &schema;
    }
    if (!json.is_object()) throw SchemaError(pointer, "a schema must be an object, true or false");
    for (const auto& [keyword, value] : json.items()) {
      const std::string at = pointer + "/" + PointerToken(keyword);
      if (!ReadAssertion(schema, keyword, value, at) && !ReadSubschemas(schema, keyword, value, at, depth) &&
          !IsAnnotation(keyword)) {
        throw SchemaError(
            at, fmt::format("the keyword {} is not enforced here, so it is not accepted", WithBackslashes(keyword)));
      }
      if (keyword == "$id" && !pointer.empty()) throw SchemaError(at, "$id is only accepted at the root");
    }
    CheckSatisfiable(schema, json);
    return &schema;
  }

  // Keywords that hold no schemas.
  bool ReadAssertion(Schema& schema, const std::string& keyword, const Json& value, const std::string& at) {
    if (keyword == "type") {
      schema.types = ReadTypes(value, at);
    } else if (keyword == "enum") {
      if (!value.is_array() || value.empty()) throw SchemaError(at, "enum must be an array with at least one value");
      if (value.size() > kLiteralsMax) throw SchemaError(at, fmt::format("enum has more than {} values", kLiteralsMax));
      schema.literals.emplace_back(value.begin(), value.end());
    } else if (keyword == "const") {
      schema.literals.push_back({value});
    } else if (keyword == "minimum" || keyword == "exclusiveMinimum") {
      schema.number.low.push_back({ReadNumber(value, at), keyword == "exclusiveMinimum"});
    } else if (keyword == "maximum" || keyword == "exclusiveMaximum") {
      schema.number.high.push_back({ReadNumber(value, at), keyword == "exclusiveMaximum"});
    } else if (keyword == "multipleOf") {
      const Decimal divisor = ReadNumber(value, at);
      if (!divisor.is_integer() || divisor.is_negative || divisor.is_zero() || divisor.integer.size() > 4 ||
          std::stoul(divisor.integer) > kDivisorMax) {
        throw SchemaError(at, fmt::format("multipleOf is only enforced for whole numbers from 1 to {}", kDivisorMax));
      }
      schema.number.multiple_of.push_back(std::stoul(divisor.integer));
    } else if (keyword == "minLength") {
      schema.length_min = ReadCount(value, at);
    } else if (keyword == "maxLength") {
      schema.length_max = ReadCount(value, at);
    } else if (keyword == "minItems") {
      schema.items_min = ReadCount(value, at);
    } else if (keyword == "maxItems") {
      schema.items_max = ReadCount(value, at);
    } else if (keyword == "uniqueItems" && value == false) {
    } else if (keyword == "pattern") {
      if (!value.is_string()) throw SchemaError(at, "pattern must be a string");
      const auto pattern = ParsePattern(value.get<std::string>());
      if (!pattern) throw SchemaError(at, fmt::format("the pattern is not one that is enforced: {}", pattern.error()));
      schema.patterns.push_back(AutomatonOf(**pattern, at));
    } else if (keyword == "format") {
      const std::string name = value.is_string() ? value.get<std::string>() : std::string();
      const ExpressionPtr format = FormatOf(name);
      if (!format) {
        throw SchemaError(at, fmt::format("the format {} is not enforced, so it is not accepted; these are: {}",
                                          WithBackslashes(name), FormatNames()));
      }
      schema.format = AutomatonOf(*format, at);
      schema.format_is_exact = FormatIsExact(name);
    } else if (keyword == "required") {
      if (!value.is_array()) throw SchemaError(at, "required must be an array of strings");
      for (const Json& name : value) {
        if (!name.is_string()) throw SchemaError(at, "required must be an array of strings");
        StepBudget::Spend(schema.required.size());
        if (std::ranges::find(schema.required, name.get<std::string>()) == schema.required.end()) {
          schema.required.push_back(name.get<std::string>());
        }
      }
    } else {
      return false;
    }
    return true;
  }

  // Keywords that hold schemas.
  bool ReadSubschemas(Schema& schema, const std::string& keyword, const Json& value, const std::string& at, int depth) {
    if (keyword == "$defs" || keyword == "definitions") {
      if (!value.is_object()) throw SchemaError(at, keyword + " must be an object");
      for (const auto& [name, json] : value.items()) Read(json, at + "/" + PointerToken(name), depth + 1);
    } else if (keyword == "properties") {
      if (!value.is_object()) throw SchemaError(at, "properties must be an object");
      schema.declares_properties = true;
      for (const auto& [name, json] : value.items()) {
        schema.properties.emplace_back(name, Read(json, at + "/" + PointerToken(name), depth + 1));
      }
    } else if (keyword == "additionalProperties") {
      schema.additional = Read(value, at, depth + 1);
    } else if (keyword == "items") {
      if (value.is_array()) throw SchemaError(at, "items must be one schema; a list of schemas is called prefixItems");
      schema.items = Read(value, at, depth + 1);
    } else if (keyword == "prefixItems") {
      schema.prefix_items = ReadList(value, at, depth);
    } else if (keyword == "allOf") {
      schema.all_of = ReadList(value, at, depth);
    } else if (keyword == "anyOf") {
      schema.any_of = ReadList(value, at, depth);
    } else if (keyword == "oneOf") {
      schema.one_of = ReadList(value, at, depth);
    } else if (keyword == "$ref") {
      if (!value.is_string()) throw SchemaError(at, "$ref must be a string");
      refs_.emplace_back(&schema, value.get<std::string>());
    } else {
      return false;
    }
    return true;
  }

  std::vector<const Schema*> ReadList(const Json& value, const std::string& at, int depth) {
    if (!value.is_array() || value.empty()) throw SchemaError(at, "it must be an array with at least one schema");
    std::vector<const Schema*> out;
    for (std::size_t i = 0; i < value.size(); ++i)
      out.push_back(Read(value[i], fmt::format("{}/{}", at, i), depth + 1));
    return out;
  }

  static Types ReadTypes(const Json& value, const std::string& at) {
    if (value.is_array()) {
      if (value.empty()) throw SchemaError(at, "type must name at least one type");
      Types types = 0;
      for (const Json& one : value) types |= ReadTypes(one.is_array() ? Json() : one, at);
      return types;
    }
    static const std::map<std::string, Types> kNames = {
        {"null", kNull},     {"boolean", kBoolean}, {"integer", kInteger}, {"number", kInteger | kFraction},
        {"string", kString}, {"array", kArray},     {"object", kObject}};
    const auto found = kNames.find(value.is_string() ? value.get<std::string>() : std::string());
    if (found == kNames.end()) {
      throw SchemaError(at, "type must be null, boolean, integer, number, string, array, object, or an array of these");
    }
    return found->second;
  }

  static Decimal ReadNumber(const Json& value, const std::string& at) {
    if (!value.is_number()) throw SchemaError(at, "it must be a number");
    const auto number = Decimal::Parse(value.dump());
    if (!number) throw SchemaError(at, "the number is too large or too small");
    return *number;
  }

  static std::uint64_t ReadCount(const Json& value, const std::string& at) {
    const Decimal number = ReadNumber(value, at);
    if (!number.is_integer() || number.is_negative) throw SchemaError(at, "it must be a whole number of 0 or more");
    if (number.integer.size() > 6 || (!number.integer.empty() && std::stoul(number.integer) > kCountMax)) {
      throw SchemaError(at, fmt::format("a count may be at most {}", kCountMax));
    }
    return number.integer.empty() ? 0 : std::stoul(number.integer);
  }

  static std::shared_ptr<const Automaton> AutomatonOf(const Expression& expression, const std::string& at) {
    try {
      return std::make_shared<const Automaton>(Automaton::Of(expression));
    } catch (const TooLarge& e) {
      throw SchemaError(at, e.what());
    }
  }

  // What no value can satisfy and can be said of one keyword.
  static void CheckSatisfiable(const Schema& schema, const Json& json) {
    const auto refuse = [&](const char* keyword, std::string_view what) {
      throw SchemaError(schema.pointer + "/" + keyword, fmt::format("no value can satisfy it: {}", what));
    };
    for (const Bound& low : schema.number.low) {
      for (const Bound& high : schema.number.high) {
        const auto order = low.value <=> high.value;
        if (order > 0 || (order == 0 && (low.is_exclusive || high.is_exclusive))) {
          refuse(low.is_exclusive ? "exclusiveMinimum" : "minimum", "it is above the maximum");
        }
      }
    }
    if (schema.length_min > schema.length_max) refuse("minLength", "it is above maxLength");
    if (schema.items_min > schema.items_max) refuse("minItems", "it is above maxItems");
    const auto additional = json.find("additionalProperties");
    if (additional == json.end() || *additional != false) return;
    for (const std::string& name : schema.required) {
      if (schema.Property(name) != nullptr) continue;
      refuse("required",
             fmt::format("{} is not among properties, and additionalProperties is false", WithBackslashes(name)));
    }
  }

  void Resolve(Schema& schema, const std::string& target) {
    const std::string at = schema.pointer + "/$ref";
    if (!target.starts_with('#') || (target.size() > 1 && target[1] != '/')) {
      throw SchemaError(at, "only references inside the schema are followed (\"#\", \"#/$defs/...\")");
    }
    std::string pointer;
    for (std::size_t i = 1; i < target.size(); ++i) {
      unsigned byte = 0;
      if (target[i] == '%' && i + 2 < target.size() &&
          std::sscanf(target.substr(i + 1, 2).c_str(), "%2x", &byte) == 1) {
        pointer += static_cast<char>(byte);
        i += 2;
      } else {
        pointer += target[i];
      }
    }
    const auto found = by_pointer_.find(pointer);
    if (found == by_pointer_.end()) throw SchemaError(at, "it names no schema of this document");
    schema.ref = found->second;
  }

  // Schemas of one value that lead back to themselves say nothing.
  void CheckNoCircle(const Schema& schema) {
    const auto [state, is_new] = visited_.try_emplace(&schema, false);
    if (!is_new) {
      if (!state->second) {
        throw SchemaError(schema.pointer, "it leads back to itself through $ref without a value in between");
      }
      return;
    }
    if (schema.ref != nullptr) CheckNoCircle(*schema.ref);
    for (const auto* list : {&schema.all_of, &schema.any_of, &schema.one_of}) {
      for (const Schema* one : *list) CheckNoCircle(*one);
    }
    visited_[&schema] = true;
  }

  static constexpr std::uint64_t kDivisorMax = 1000;

  Document& out_;
  std::map<std::string, Schema*> by_pointer_;
  std::vector<std::pair<Schema*, std::string>> refs_;
  std::map<const Schema*, bool> visited_;  // true: done
};

Document::Document(const Json& json) { DocumentReader(*this).Run(json); }

}  // namespace allod::inference::schema
