#include "gateway/access/api_keys.h"

#include <fmt/format.h>

#include <algorithm>

#include "gateway/access/bearer.h"
#include "gateway/access/limits_from.h"
#include "services/common/ids.h"
#include "services/common/log.h"
#include "services/common/rpc/timestamp.h"

namespace allod::gateway::access {
namespace {

// Tenancy lets no key have more.
constexpr std::size_t kIpRangesMax = 256;

std::unexpected<Error> NotSynced(std::string message) {
  Error error{Code::kUnavailable, "KEYS_NOT_SYNCED", std::move(message)};
  error.retry_after = std::chrono::milliseconds(500);
  return std::unexpected(std::move(error));
}

std::unexpected<Error> Unauthenticated(std::string message) {
  return Fail(Code::kUnauthenticated, "INVALID_API_KEY", std::move(message));
}

std::unexpected<Error> NotFromThere(const std::optional<IpAddress>& client) {
  return Fail(Code::kPermissionDenied, "ADDRESS_NOT_ALLOWED",
              client
                  ? fmt::format("this API key is not let in from {}", client->ToString())
                  : "this API key is let in from some addresses only, and a proxy does not say where this comes from");
}

std::unexpected<Error> Stopped(tenancy::v1::WatchApiKeysResponse::TenantStanding::Standing standing) {
  using Standing = tenancy::v1::WatchApiKeysResponse::TenantStanding;
  return Fail(Code::kPermissionDenied, "TENANT_SUSPENDED",
              standing == Standing::STANDING_DELETING
                  ? "the tenant of this API key is being deleted; it works again if who deleted it undoes that"
                  : "the tenant of this API key is suspended; it works again when the tenant is resumed");
}

}  // namespace

bool ApiKeyTable::UsedMinute::Advance(std::int64_t now) {
  std::int64_t known = minute.load(std::memory_order_relaxed);
  return known != now && minute.compare_exchange_strong(known, now, std::memory_order_relaxed);
}

Result<ApiKeyTable::Entry> ApiKeyTable::EntryOf(const tenancy::v1::WatchApiKeysResponse::Key& key) {
  ALLOD_TRY(const auto ids, MatchName("name", key.name(), "tenants/*/projects/*/apiKeys/*"));
  Entry entry;
  if (key.digest().size() != entry.digest.size())
    return InvalidArgument("INVALID_DIGEST", "the digest has no 32 bytes");
  std::ranges::copy(key.digest(), entry.digest.begin());
  Principal& principal = entry.principal;
  principal.id = principal.kid = key.kid();
  principal.name = key.name();
  principal.tenant_id = ids[0];
  principal.tenant = "tenants/" + ids[0];
  principal.project = principal.tenant + "/projects/" + ids[1];
  principal.inference = principal.portal = key.scopes().empty();
  for (const int scope : key.scopes()) {
    if (scope == tenancy::v1::ApiKey::SCOPE_INFERENCE) principal.inference = true;
    if (scope == tenancy::v1::ApiKey::SCOPE_PORTAL) principal.portal = true;
  }
  for (const int role : key.roles()) principal.roles.Add(static_cast<Role>(role));
  if (key.has_expire_time()) {
    ALLOD_TRY(entry.expire_time, TimeFrom("expire_time", key.expire_time()));
  }
  const std::vector<std::string> ranges(key.allowed_ip_ranges().begin(), key.allowed_ip_ranges().end());
  ALLOD_TRY(entry.ranges, ParseIpRanges("allowed_ip_ranges", ranges, kIpRangesMax));
  principal.limits = LimitsFrom(key.limits());
  if (!key.allowed_instances().empty()) {
    std::vector<std::string> instances(key.allowed_instances().begin(), key.allowed_instances().end());
    std::ranges::sort(instances);
    principal.instances = std::make_shared<const std::vector<std::string>>(std::move(instances));
  }
  return entry;
}

void ApiKeyTable::ApplyKey(const tenancy::v1::WatchApiKeysResponse::Key& key, Known& known) {
  Result<Entry> entry = key.revoked() ? Internal("it is none any more") : EntryOf(key);
  if (entry) {
    known.keys.insert_or_assign(key.kid(), *std::move(entry));
    return;
  }
  // A limit that is not understood must not be left out.
  if (!key.revoked()) {
    Log(LogLevel::kError, "ignored a malformed API key", {{"name", key.name()}, {"error", entry.error().message}});
  }
  known.keys.erase(key.kid());
}

void ApiKeyTable::ApplyStanding(const Standing& standing, Known& known) {
  const auto ids = MatchName("tenant", standing.tenant(), "tenants/*");
  if (!ids) {
    Log(LogLevel::kError, "ignored the standing of a tenant that is none", {{"tenant", standing.tenant()}});
    return;
  }
  if (standing.standing() == Standing::STANDING_IN_FORCE) {
    known.stopped.erase(ids->at(0));
  } else {
    known.stopped[ids->at(0)] = standing.standing();
  }
}

void ApiKeyTable::Apply(const tenancy::v1::WatchApiKeysResponse& message) {
  known_.Apply(message.synced(), [&](Known& known) {
    for (const auto& key : message.keys()) ApplyKey(key, known);
    for (const auto& standing : message.tenant_standings()) ApplyStanding(standing, known);
  });
}

Result<Principal> ApiKeyTable::Authenticate(std::string_view authorization,
                                            const std::optional<IpAddress>& client) const {
  const std::string_view token = BearerToken(authorization);
  if (token.empty()) {
    return Unauthenticated(
        "no API key was given; send the header Authorization: Bearer ald_..., or sign in at "
        "/auth/sign-in?tenant=TENANT");
  }
  ALLOD_TRY(const ApiKeyText key, ParseApiKey(token));
  const ApiKeyDigest digest = DigestApiKeySecret(pepper_, key.secret);
  const Time now = clock_.Now();
  std::optional known(known_.Read());
  if (!known->synced()) return NotSynced("the gateway is still fetching its API keys; try again in a second");
  const Known& all = **known;
  const auto it = all.keys.find(key.kid);
  // An unknown key costs the same comparison as a known one.
  const ApiKeyDigest stored = it == all.keys.end() ? ApiKeyDigest{} : it->second.digest;
  const bool same = SameDigest(stored, digest);
  if (it == all.keys.end() && !known->current()) {
    return NotSynced(
        "the gateway does not know this API key, and may not have heard of new ones; try again in a second");
  }
  if (!same || it == all.keys.end()) {
    return Unauthenticated("the API key is not valid, was revoked or has expired, or its tenant is gone");
  }
  const Entry& entry = it->second;
  if (entry.expire_time && *entry.expire_time <= now) {
    return Fail(Code::kUnauthenticated, "API_KEY_EXPIRED", "the API key has expired; use its successor, or a new one");
  }
  if (!entry.ranges.empty() && !(client && AnyContains(entry.ranges, *client))) return NotFromThere(client);
  if (const auto stopped = all.stopped.find(entry.principal.tenant_id); stopped != all.stopped.end()) {
    return Stopped(stopped->second);
  }
  const bool is_news = entry.used.Advance(std::chrono::floor<std::chrono::minutes>(now).time_since_epoch().count());
  Principal principal = entry.principal;
  known.reset();
  if (is_news) uses_.Note(principal.name, now);
  return principal;
}

}  // namespace allod::gateway::access
