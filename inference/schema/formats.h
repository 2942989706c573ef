// The formats of strings that are enforced.
#pragma once

#include <string>
#include <string_view>

#include "inference/schema/automaton.h"

namespace allod::inference::schema {

// Null for a format that is not. date, time and date-time are those of RFC 3339 with the days that a month has and
// without leap seconds; email, hostname and uri allow less than their standards do, and nothing else.
ExpressionPtr FormatOf(std::string_view name);
// Whether everything of the format's standard is allowed.
bool FormatIsExact(std::string_view name);
std::string FormatNames();

}  // namespace allod::inference::schema
