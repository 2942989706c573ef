// Answers about schemas, one JSON object a line, for the test that compares them with another validator.
//
//   {"schema": …, "seed": 1, "samples": 4, "documents": ["…"]}
//   -> {"samples": ["…"], "accepts": [true]} or {"error": "…"}
#include <iostream>
#include <nlohmann/json.hpp>

#include "inference/schema/gbnf.h"
#include "inference/schema/schema.h"
#include "tests/schema/grammar_walk.h"

namespace {

constexpr std::size_t kSymbolsSoftMax = 400;

nlohmann::ordered_json Answer(const nlohmann::ordered_json& question) {
  const auto gbnf = allod::inference::schema::SchemaToGbnf(question["schema"].dump());
  if (!gbnf) return {{"error", gbnf.error()}};
  // What was written is read again: the text is what llama.cpp gets.
  const auto parsed = allod::inference::schema::ParseGbnf(*gbnf);
  if (!parsed) return {{"error", "our own grammar does not parse: " + parsed.error()}};
  const auto root = parsed->rules.at("root");
  nlohmann::ordered_json out = {{"samples", nlohmann::ordered_json::array()},
                                {"accepts", nlohmann::ordered_json::array()}};
  std::mt19937 random(question["seed"].get<std::uint32_t>());
  for (int i = 0; i < question["samples"].get<int>(); ++i) {
    out["samples"].push_back(allod::test::RandomText(parsed->grammar, root, random, kSymbolsSoftMax));
  }
  for (const auto& document : question["documents"]) {
    out["accepts"].push_back(allod::test::Accepts(parsed->grammar, root, document.get<std::string>()));
  }
  return out;
}

}  // namespace

int main() {
  for (std::string line; std::getline(std::cin, line);) {
    std::cout << Answer(nlohmann::ordered_json::parse(line)).dump() << '\n' << std::flush;
  }
}
