// JSON of which every reader must see the same: objects of bounded size and depth, in valid UTF-8, no member twice.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string_view>

#include "services/common/result.h"

namespace allod::jose {

struct JsonLimits {
  int depth_max = 8;
  std::size_t values_max = 1024;  // in the whole document, members and elements
};

// INVALID_ARGUMENT / INVALID_JSON; the message says what is wrong and repeats nothing of the text.
Result<nlohmann::json> ParseStrictObject(std::string_view text, const JsonLimits& limits);

}  // namespace allod::jose
