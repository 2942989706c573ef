// Limits: what may be asked for in a time, of a tenant, a project, a model of it or a key. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "services/common/result.h"

namespace allod::tenancy {

// 0: none of its kind.
struct Limits {
  std::int64_t requests_per_minute = 0;
  std::int64_t tokens_per_minute = 0;
  int concurrency = 0;
  bool shadow = false;

  bool any() const { return requests_per_minute > 0 || tokens_per_minute > 0 || concurrency > 0; }
  bool operator==(const Limits&) const = default;
};

inline constexpr std::int64_t kRequestsPerMinuteMax = 60'000'000;
inline constexpr std::int64_t kTokensPerMinuteMax = 60'000'000'000;
inline constexpr int kConcurrencyMax = 1'000'000;
inline constexpr std::size_t kInstanceLimitsPerProjectMax = 16;

// Of a project's models, by id.
using InstanceLimits = std::map<std::string, Limits>;

// "requests_per_minute=60,shadow"; of none nothing.
std::string DetailText(const Limits& limits);

// INVALID_ARGUMENT / INVALID_LIMITS for what is negative, too large, or in shadow without a limit. `field` is e.g.
// "tenant.limits".
Status CheckLimits(std::string_view field, const Limits& limits);
// The same for a limit that could never be reached inside `outer`, which is `whose`: "the tenant's".
Status CheckLimitsWithin(std::string_view field, const Limits& inner, std::string_view whose, const Limits& outer);
// Of a project and its models, in a tenant with these.
Status CheckProjectLimits(const Limits& project, const InstanceLimits& instances, const Limits& tenant);

// What a key that is made by one with `maker` has: what it leaves open is its maker's.
Limits HandOnLimits(const Limits& maker, Limits key);
// PERMISSION_DENIED / LIMIT_NOT_HELD for a key with more than its maker.
Status CheckLimitsHeld(const Limits& maker, const Limits& key);

// All of a tenant, for gateways.
struct ProjectLimits {
  std::string project;  // its id
  Limits limits;
  InstanceLimits instances;
};
struct TenantLimits {
  std::string tenant;  // its id
  Limits limits;
  std::vector<ProjectLimits> projects;  // those that have any
  std::vector<std::string> above = {};  // ids of the tenants above it, from the top
};

}  // namespace allod::tenancy
