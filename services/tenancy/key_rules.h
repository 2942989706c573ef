// What narrows API keys, what a key hands on to those that it makes, and how one takes another's place. Pure; stores
// call it within the transaction that reads the maker, so that one that was just revoked makes nothing any more.
#pragma once

#include <chrono>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "services/tenancy/domain.h"

namespace allod::tenancy {

inline constexpr std::size_t kIpRangesPerKeyMax = 32;
inline constexpr std::size_t kInstancesPerKeyMax = 64;
inline constexpr std::chrono::days kKeyLifeMax{3660};
inline constexpr std::chrono::days kOverlapMax{30};

// INVALID_ARGUMENT / INVALID_EXPIRE_TIME unless it is in the future and at most kKeyLifeMax away.
Status CheckExpireTime(std::string_view field, std::optional<Time> expire_time, Time now);

// The ids of the instances of a project that are named in full; sorted, each once. INVALID_ARGUMENT / INVALID_INSTANCE
// names the one that is none of its, TOO_MANY_INSTANCES. Whether they exist is not asked: that is another service's to
// know, and they may be made later.
Result<std::vector<std::string>> ValidInstances(std::string_view field, const std::string& tenant,
                                                const std::string& project, std::span<const std::string> names);

// NOT_FOUND / NOT_FOUND.
Error NoSuchKey(std::string_view tenant, std::string_view project, std::string_view kid);
// PERMISSION_DENIED / MAKER_NOT_VALID.
Error NoSuchMaker();

// `roles` are the tenant's own in the following.
//
// `key`, which `maker` makes, with what it leaves open taken from `maker`: every property of it lies within the
// maker's. A range of addresses lies within one of the maker's ranges. PERMISSION_DENIED / MAKER_NOT_VALID,
// SCOPE_NOT_HELD, ROLE_NOT_HELD, EXPIRY_NOT_HELD, IP_RANGE_NOT_HELD, INSTANCE_NOT_HELD or LIMIT_NOT_HELD.
Result<ApiKey> HandOn(const ApiKey& maker, ApiKey key, Time now, const StandingRoles& roles = {});
// The same for a key that leaves nothing open: what it has not narrowed is everything.
Status CheckHandsOn(const ApiKey& maker, const ApiKey& key, Time now, const StandingRoles& roles = {});

struct KeyRotation {
  std::string tenant;
  std::string project;
  std::string kid;                    // of the present one
  std::chrono::microseconds overlap;  // 0 to kOverlapMax
  std::optional<Time> expire_time;    // of the successor; none: that of the present one
  std::string successor_kid;
  ApiKeyDigest successor_digest{};
  Time now;
  Held held;  // by who asks: what the successor has is to be within it
};

struct Rotated {
  ApiKey present;  // revoked, or expiring when the overlap is over at the latest
  ApiKey successor;
};

// INVALID_ARGUMENT / INVALID_OVERLAP.
Status CheckOverlap(std::chrono::microseconds overlap);
// `maker`: the key that asks, null if none does; its errors are those of CheckHandsOn for the successor.
// FAILED_PRECONDITION / API_KEY_NOT_VALID if the present one does not hold.
Result<Rotated> Rotate(const ApiKey& present, const KeyRotation& rotation, const ApiKey* maker,
                       const StandingRoles& roles = {});

// Whether a key may make what is bound by nothing that narrows the key and outlives it, such as a workload rule.
// PERMISSION_DENIED / MAKER_NOT_VALID, MAKER_IS_NARROWED.
Status CheckMayGrantAtLarge(const ApiKey& maker, Time now);

}  // namespace allod::tenancy
