// What an answer must look like, enforced while sampling.
#pragma once

#include <string>
#include <variant>

namespace allod::inference::ports {

struct NoConstraint {};
struct JsonSchemaConstraint {
  std::string schema;
};
struct JsonObjectConstraint {};
struct GrammarConstraint {
  std::string gbnf;  // llama.cpp's notation; the start symbol is `root`
};
using OutputConstraint = std::variant<NoConstraint, JsonSchemaConstraint, JsonObjectConstraint, GrammarConstraint>;

}  // namespace allod::inference::ports
