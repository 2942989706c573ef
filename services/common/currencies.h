// The currencies of ISO 4217 and the decimals of their minor units.
#pragma once

#include <optional>
#include <string_view>

namespace allod {

// nullopt when the code is not an active currency.
std::optional<int> CurrencyDecimals(std::string_view code);

}  // namespace allod
