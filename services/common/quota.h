// Whether more of something may be made. Pure.
#pragma once

#include <cstdint>
#include <string_view>

#include "services/common/result.h"

namespace allod {

// A limit of which all was given away: nothing may be made.
inline constexpr std::int64_t kNothingLeft = -1;

struct QuotaCheck {
  std::string_view owner;   // "tenants/ke"
  std::string_view field;   // what is to be raised: "quota.api_keys"
  std::string_view things;  // "API keys"
  std::string_view raiser;  // who can: "an operator"
  std::int64_t limit = 0;   // 0: none; kNothingLeft
  std::int64_t before = 0;  // how many there are
  std::int64_t after = 0;   // how many there would be
};

// RESOURCE_EXHAUSTED / QUOTA_EXCEEDED. What is over a quota that was lowered may stay and shrink.
Status CheckQuota(const QuotaCheck& check);

// The tighter of two limits of which 0 is none.
std::int64_t TighterLimit(std::int64_t a, std::int64_t b);

// What is left of a limit, of which 0 is none, when `given` of it was given away: 0 or more than it is kNothingLeft.
std::int64_t LimitLeft(std::int64_t limit, std::int64_t given);

}  // namespace allod
