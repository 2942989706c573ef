// JSON Schema to grammar: every keyword is enforced, or the schema is refused with the keyword and where it stands.
//
// A subset of JSON Schema 2020-12; gateway/README.md lists it. What the grammar accepts is a JSON text whose value
// satisfies the schema. It accepts less than all such texts: members come in the order of the schema, those that are
// not declared come last and only where the schema says `additionalProperties` (or declares none), white space between
// tokens is at most a blank, or a line break and 20 blanks or tabs, and numbers are written as decimal.h says.
//
// Pure. Bounds: a schema of 64 KiB, 32 levels deep; counts up to 65,536; a grammar of 20,000 rules; the steps of
// steps.h.
#pragma once

#include <expected>
#include <string>
#include <string_view>

#include "inference/schema/grammar.h"

namespace allod::inference::schema {

// Why a text is no schema at all: not JSON, no object, too large, too deep; as in "is no valid JSON". Empty: it may be.
std::string WhyNotRead(std::string_view schema);

enum class Values { kAll, kObjects };

// The rule for those values that satisfy the schema, added to `grammar`. The error says what is wrong and where, as in
// `at "/properties/age/minimum": no value can satisfy it: it is above the maximum`; the grammar is then of no use any
// more. Rules without alternatives and what needs them are taken out of the whole grammar.
std::expected<RuleId, std::string> AddSchema(std::string_view schema, Values values, Grammar& grammar);

// White space between two tokens: none, a blank, or a line break and up to 20 blanks and tabs.
RuleId AddSpace(Grammar& grammar);

// As GBNF.
std::expected<std::string, std::string> SchemaToGbnf(std::string_view schema);

}  // namespace allod::inference::schema
