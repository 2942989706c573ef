#include "gateway/access/api_keys.h"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>

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

void ApiKeyTable::ApplyKey(const tenancy::v1::WatchApiKeysResponse::Key& key, Entries& entries) {
  Result<Entry> entry = key.revoked() ? Internal("it is none any more") : EntryOf(key);
  if (entry) {
    entries.insert_or_assign(key.kid(), *std::move(entry));
    return;
  }
  // A limit that is not understood must not be left out.
  if (!key.revoked()) {
    Log(LogLevel::kError, "ignored a malformed API key", {{"name", key.name()}, {"error", entry.error().message}});
  }
  entries.erase(key.kid());
}

void ApiKeyTable::BeginSnapshot() {
  Entries old;  // destroyed when nobody waits for the lock any more
  const std::unique_lock lock(mutex_);
  in_snapshot_ = true;
  old.swap(snapshot_);
}

void ApiKeyTable::Apply(const tenancy::v1::WatchApiKeysResponse& message) {
  Entries old;
  const std::unique_lock lock(mutex_);
  for (const auto& key : message.keys()) ApplyKey(key, in_snapshot_ ? snapshot_ : entries_);
  if (in_snapshot_ && message.synced()) {
    old.swap(entries_);
    entries_.swap(snapshot_);
    in_snapshot_ = false;
    synced_ = current_ = true;
  }
}

void ApiKeyTable::EndStream() {
  const std::unique_lock lock(mutex_);
  current_ = false;
}

std::size_t ApiKeyTable::size() const {
  const std::shared_lock lock(mutex_);
  return entries_.size();
}

bool ApiKeyTable::synced() const {
  const std::shared_lock lock(mutex_);
  return synced_;
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
  std::shared_lock lock(mutex_);
  if (!synced_) return NotSynced("the gateway is still fetching its API keys; try again in a second");
  const auto it = entries_.find(key.kid);
  // An unknown key costs the same comparison as a known one.
  const ApiKeyDigest stored = it == entries_.end() ? ApiKeyDigest{} : it->second.digest;
  const bool same = SameDigest(stored, digest);
  if (it == entries_.end() && !current_) {
    return NotSynced(
        "the gateway does not know this API key, and may not have heard of new ones; try again in a second");
  }
  if (!same || it == entries_.end()) {
    return Unauthenticated(
        "the API key is not valid, was revoked or has expired, or its tenant is suspended or being deleted");
  }
  const Entry& entry = it->second;
  if (entry.expire_time && *entry.expire_time <= now) {
    return Fail(Code::kUnauthenticated, "API_KEY_EXPIRED", "the API key has expired; use its successor, or a new one");
  }
  if (!entry.ranges.empty() && !(client && AnyContains(entry.ranges, *client))) return NotFromThere(client);
  const bool is_news = entry.used.Advance(std::chrono::floor<std::chrono::minutes>(now).time_since_epoch().count());
  Principal principal = entry.principal;
  lock.unlock();
  if (is_news) uses_.Note(principal.name, now);
  return principal;
}

}  // namespace allod::gateway::access
