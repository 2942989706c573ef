#include "services/tenancy/key_rules.h"

#include <fmt/format.h>

#include <algorithm>

namespace allod::tenancy {
namespace {

constexpr std::size_t kNameShown = 128;

std::unexpected<Error> NotHeld(std::string reason, std::string message) {
  return Fail(Code::kPermissionDenied, std::move(reason), std::move(message));
}

Held HeldBy(const ApiKey& maker, const StandingRoles& roles) {
  return {.scopes = maker.scopes,
          .roles = roles.RightsLeft(maker.roles, maker.custom_roles),
          .usual_roles = maker.roles,
          .usual_custom_roles = maker.custom_roles};
}

Status CheckHolds(const ApiKey& maker, Time now) {
  if (maker.HoldsAt(now)) return {};
  return std::unexpected(NoSuchMaker());
}

Status CheckExpiryWithin(const ApiKey& maker, const ApiKey& key) {
  if (!maker.expire_time || (key.expire_time && *key.expire_time <= *maker.expire_time)) return {};
  return NotHeld("EXPIRY_NOT_HELD",
                 "api_key.expire_time: it would hold longer than the API key that asks; let it expire no later than "
                 "that one, or ask an operator");
}

Status CheckRangesWithin(const ApiKey& maker, const ApiKey& key) {
  if (maker.allowed_ip_ranges.empty()) return {};
  if (key.allowed_ip_ranges.empty()) {
    return NotHeld("IP_RANGE_NOT_HELD",
                   "api_key.allowed_ip_ranges: it would be let in from every address, and the API key that asks is "
                   "not; ask an operator");
  }
  for (const IpRange& range : key.allowed_ip_ranges) {
    const auto has_it = [&](const IpRange& held) { return held.Contains(range); };
    if (std::ranges::any_of(maker.allowed_ip_ranges, has_it)) continue;
    return NotHeld("IP_RANGE_NOT_HELD",
                   fmt::format("api_key.allowed_ip_ranges: {} does not lie within a range of the API key that asks; "
                               "leave it out, or ask an operator",
                               range.ToString()));
  }
  return {};
}

Status CheckInstancesWithin(const ApiKey& maker, const ApiKey& key) {
  if (maker.allowed_instances.empty()) return {};
  if (key.allowed_instances.empty()) {
    return NotHeld("INSTANCE_NOT_HELD",
                   "api_key.allowed_instances: it would reach every instance, and the API key that asks does not; ask "
                   "an operator");
  }
  for (const std::string& instance : key.allowed_instances) {
    if (std::ranges::binary_search(maker.allowed_instances, instance)) continue;
    return NotHeld("INSTANCE_NOT_HELD",
                   fmt::format("api_key.allowed_instances: instances/{} is none of those of the API key that asks; "
                               "leave it out, or ask an operator",
                               instance));
  }
  return {};
}

// What of `limits` is for a key that may not ask for tokens.
Limits WithoutTokens(const ApiKey& key, Limits limits) {
  if (key.scopes.contains(Scope::kInference)) return limits;
  limits.tokens_per_minute = 0;
  return limits.any() ? limits : Limits();
}

}  // namespace

Status CheckExpireTime(std::string_view field, std::optional<Time> expire_time, Time now) {
  if (!expire_time || (*expire_time > now && *expire_time <= now + kKeyLifeMax)) return {};
  return InvalidArgument("INVALID_EXPIRE_TIME",
                         fmt::format("{}: it is {}; give a time in the future that is at most {} days away, or none",
                                     field, *expire_time <= now ? "over" : "too far away", kKeyLifeMax.count()));
}

Result<std::vector<std::string>> ValidInstances(std::string_view field, const std::string& tenant,
                                                const std::string& project, std::span<const std::string> names) {
  if (names.size() > kInstancesPerKeyMax) {
    return InvalidArgument("TOO_MANY_INSTANCES", fmt::format("{}: {} instances, of which there may be {}", field,
                                                             names.size(), kInstancesPerKeyMax));
  }
  std::vector<std::string> out;
  for (std::size_t i = 0; i < names.size(); ++i) {
    const auto ids = MatchName(field, names[i], "tenants/*/projects/*/instances/*");
    if (!ids || ids->at(0) != tenant || ids->at(1) != project) {
      return InvalidArgument("INVALID_INSTANCE",
                             fmt::format("{}[{}]: \"{}\" names no instance of the key's project; write "
                                         "tenants/{}/projects/{}/instances/INSTANCE",
                                         field, i, names[i].substr(0, kNameShown), tenant, project));
    }
    out.push_back(ids->at(2));
  }
  std::ranges::sort(out);
  out.erase(std::ranges::unique(out).begin(), out.end());
  return out;
}

Error NoSuchKey(std::string_view tenant, std::string_view project, std::string_view kid) {
  return {Code::kNotFound, "NOT_FOUND",
          fmt::format("tenants/{}/projects/{}/apiKeys/{} does not exist", tenant, project, kid)};
}

Error NoSuchMaker() {
  return {Code::kPermissionDenied, "MAKER_NOT_VALID",
          "the API key that asks is revoked or has expired; ask with another one"};
}

Status CheckHandsOn(const ApiKey& maker, const ApiKey& key, Time now, const StandingRoles& roles) {
  ALLOD_CHECK_OK(CheckHolds(maker, now));
  ALLOD_CHECK_OK(ValidApiKey(key, HeldBy(maker, roles), roles));
  ALLOD_CHECK_OK(CheckExpiryWithin(maker, key));
  ALLOD_CHECK_OK(CheckRangesWithin(maker, key));
  ALLOD_CHECK_OK(CheckInstancesWithin(maker, key));
  return CheckLimitsHeld(WithoutTokens(key, maker.limits), key.limits);
}

Result<ApiKey> HandOn(const ApiKey& maker, ApiKey key, Time now, const StandingRoles& roles) {
  ALLOD_CHECK_OK(CheckHolds(maker, now));
  ALLOD_TRY(key, ValidApiKey(std::move(key), HeldBy(maker, roles), roles));
  key.limits = WithoutTokens(key, HandOnLimits(maker.limits, key.limits));
  if (!key.expire_time) key.expire_time = maker.expire_time;
  if (key.allowed_ip_ranges.empty()) key.allowed_ip_ranges = maker.allowed_ip_ranges;
  if (key.allowed_instances.empty()) key.allowed_instances = maker.allowed_instances;
  ALLOD_CHECK_OK(CheckHandsOn(maker, key, now, roles));
  return key;
}

Status CheckOverlap(std::chrono::microseconds overlap) {
  if (overlap >= std::chrono::microseconds::zero() && overlap <= kOverlapMax) return {};
  return InvalidArgument("INVALID_OVERLAP",
                         fmt::format("overlap: give 0 to {} days, for which both keys hold", kOverlapMax.count()));
}

Result<Rotated> Rotate(const ApiKey& present, const KeyRotation& rotation, const ApiKey* maker,
                       const StandingRoles& roles) {
  if (!present.HoldsAt(rotation.now)) {
    return FailedPrecondition("API_KEY_NOT_VALID",
                              fmt::format("{} is revoked or has expired; make a new key instead", present.name()));
  }
  Rotated out{present, present};
  out.successor.kid = rotation.successor_kid;
  out.successor.digest = rotation.successor_digest;
  out.successor.create_time = rotation.now;
  out.successor.last_used_time.reset();
  if (rotation.expire_time) out.successor.expire_time = rotation.expire_time;
  ALLOD_CHECK_OK(ValidApiKey(out.successor, rotation.held, roles));
  if (maker) ALLOD_CHECK_OK(CheckHandsOn(*maker, out.successor, rotation.now, roles));
  if (rotation.overlap == std::chrono::microseconds::zero()) {
    out.present.revoke_time = rotation.now;
  } else {
    const Time until = rotation.now + rotation.overlap;
    out.present.expire_time = present.expire_time ? std::min(*present.expire_time, until) : until;
  }
  return out;
}

Status CheckMayGrantAtLarge(const ApiKey& maker, Time now) {
  ALLOD_CHECK_OK(CheckHolds(maker, now));
  const bool is_narrow =
      maker.expire_time || !maker.allowed_ip_ranges.empty() || !maker.allowed_instances.empty() || maker.limits.any();
  if (!is_narrow) return {};
  return Fail(
      Code::kPermissionDenied, "MAKER_IS_NARROWED",
      "the API key that asks expires, has limits of its own, or holds from some addresses or for some instances only, "
      "and what it asks for would not; ask with a key without any of these, or an operator");
}

}  // namespace allod::tenancy
