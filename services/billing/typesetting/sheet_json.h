// A sheet as bytes, between the service and allod-invoice: JSON, strict and bounded. What is unknown, missing, of
// another type or too large is refused by name, so that neither side prints less than the other said.
#pragma once

#include <string>
#include <string_view>

#include "services/billing/typesetting/sheet.h"
#include "services/common/result.h"

namespace allod::billing::typesetting {

inline constexpr int kSheetVersion = 1;

// INVALID_ARGUMENT / INVALID_SHEET: a bound of sheet.h, or text that is not UTF-8.
Result<std::string> ToJson(const Sheet& sheet);
Result<Sheet> ParseSheet(std::string_view json);

}  // namespace allod::billing::typesetting
