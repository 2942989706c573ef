// A JSON schema (2020-12), checked and taken apart: every keyword in it is one that is enforced, or an annotation.
//
// Internal to inference/schema; the doors are schema.h and gbnf.h.
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "inference/schema/automaton.h"
#include "inference/schema/decimal.h"

namespace allod::inference::schema {

// Objects keep the order of their members, which is that of the answer.
using Json = nlohmann::ordered_json;

// What is wrong with a schema, and the JSON pointer to it. Thrown and caught inside this folder.
class SchemaError final : public std::runtime_error {
 public:
  SchemaError(const std::string& pointer, std::string_view what);
};

// The types of JSON values; numbers that are integers and those that are not are told apart.
enum TypeBit : std::uint8_t {
  kNull = 1,
  kBoolean = 2,
  kInteger = 4,
  kFraction = 8,
  kString = 16,
  kArray = 32,
  kObject = 64,
};
using Types = std::uint8_t;
inline constexpr Types kAllTypes = 127;
Types TypeOf(const Json& value);

inline constexpr std::uint64_t kNoLimit = ~std::uint64_t{0};

struct Schema {
  std::size_t number_in_document = 0;  // from 1
  std::string pointer;
  bool is_never = false;  // `false`
  Types types = kAllTypes;
  std::vector<std::vector<Json>> literals;  // of `enum` and `const`: one of each
  NumberLimits number;
  std::uint64_t length_min = 0;
  std::uint64_t length_max = kNoLimit;
  std::vector<std::shared_ptr<const Automaton>> patterns;
  std::shared_ptr<const Automaton> format;
  bool format_is_exact = false;  // else it allows less than the standard
  std::vector<const Schema*> prefix_items;
  const Schema* items = nullptr;
  std::uint64_t items_min = 0;
  std::uint64_t items_max = kNoLimit;
  bool declares_properties = false;
  std::vector<std::pair<std::string, const Schema*>> properties;
  std::vector<std::string> required;
  const Schema* additional = nullptr;
  // These apply to the same value.
  const Schema* ref = nullptr;
  std::vector<const Schema*> all_of;
  std::vector<const Schema*> any_of;
  std::vector<const Schema*> one_of;

  const Schema* Property(std::string_view name) const;
};

class Document {
 public:
  // Throws SchemaError, TooLarge.
  explicit Document(const Json& json);
  const Schema& root() const { return *root_; }
  // `{"type": "object"}`, not part of the document.
  const Schema& any_object() const { return any_object_; }

 private:
  friend class DocumentReader;
  std::vector<std::unique_ptr<Schema>> schemas_;
  const Schema* root_ = nullptr;
  Schema any_object_{.types = kObject};
};

// Whether `value` satisfies `schema`; what applies to the same value through $ref and the like counts or does not.
bool Allows(const Schema& schema, const Json& value);
bool AllowsAlone(const Schema& schema, const Json& value);

// As JSON compares: whatever the order of members, 1 is 1.0.
bool AreEqual(const Json& a, const Json& b);

// A name as a part of a JSON pointer.
std::string PointerToken(std::string_view name);

}  // namespace allod::inference::schema
