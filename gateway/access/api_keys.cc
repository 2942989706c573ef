#include "gateway/access/api_keys.h"

#include <algorithm>
#include <cctype>
#include <mutex>

#include "allod/tenancy/v1/api_key.grpc.pb.h"
#include "services/common/ids.h"
#include "services/common/log.h"
#include "services/common/rpc/watch.h"

namespace allod::gateway::access {
namespace {

std::unexpected<Error> NotSynced(std::string message) {
  Error error{Code::kUnavailable, "KEYS_NOT_SYNCED", std::move(message)};
  error.retry_after = std::chrono::milliseconds(500);
  return std::unexpected(std::move(error));
}

std::unexpected<Error> Unauthenticated(std::string message) {
  return Fail(Code::kUnauthenticated, "INVALID_API_KEY", std::move(message));
}

// The token of "Bearer <token>", the scheme in any case and any number of blanks behind it (RFC 6750, RFC 9110).
std::string_view BearerToken(std::string_view authorization) {
  constexpr std::string_view kBlanks = " \t";
  const std::size_t scheme_end = authorization.find_first_of(kBlanks);
  if (scheme_end == std::string_view::npos) return {};
  const bool matches =
      std::ranges::equal(authorization.substr(0, scheme_end), std::string_view("bearer"),
                         [](char a, char b) { return std::tolower(static_cast<unsigned char>(a)) == b; });
  const std::size_t begin = authorization.find_first_not_of(kBlanks, scheme_end);
  if (!matches || begin == std::string_view::npos) return {};
  return authorization.substr(begin, authorization.find_last_not_of(kBlanks) + 1 - begin);
}

}  // namespace

void ApiKeyTable::ApplyKey(const tenancy::v1::WatchApiKeysResponse::Key& key, Entries& entries) {
  const auto ids = MatchName("name", key.name(), "tenants/*/projects/*/apiKeys/*");
  Entry entry;
  if (key.revoked() || !ids || key.digest().size() != entry.digest.size()) {
    if (!key.revoked()) Log(LogLevel::kError, "ignored a malformed API key", {{"name", key.name()}});
    entries.erase(key.kid());
    return;
  }
  std::ranges::copy(key.digest(), entry.digest.begin());
  Principal& principal = entry.principal;
  principal.id = key.kid();
  principal.name = key.name();
  principal.tenant_id = ids->at(0);
  principal.tenant = "tenants/" + ids->at(0);
  principal.project = principal.tenant + "/projects/" + ids->at(1);
  principal.inference = principal.portal = key.scopes().empty();
  for (const int scope : key.scopes()) {
    if (scope == tenancy::v1::ApiKey::SCOPE_INFERENCE) principal.inference = true;
    if (scope == tenancy::v1::ApiKey::SCOPE_PORTAL) principal.portal = true;
  }
  for (const int role : key.roles()) principal.roles.Add(static_cast<Role>(role));
  entries[key.kid()] = std::move(entry);
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

Result<Principal> ApiKeyTable::Authenticate(std::string_view authorization) const {
  const std::string_view token = BearerToken(authorization);
  if (token.empty()) {
    return Unauthenticated("no API key was given; send the header Authorization: Bearer ald_...");
  }
  ALLOD_TRY(const ApiKeyText key, ParseApiKey(token));
  const ApiKeyDigest digest = DigestApiKeySecret(pepper_, key.secret);
  const std::shared_lock lock(mutex_);
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
    return Unauthenticated("the API key is not valid or was revoked");
  }
  return it->second.principal;
}

std::unique_ptr<WatchLoop> WatchApiKeys(std::shared_ptr<grpc::Channel> tenancy, ApiKeyTable& table) {
  using Service = tenancy::v1::ApiKeyService;
  return Watch("api-keys", Caller::Service("gateway"), Service::NewStub(tenancy), &Service::Stub::WatchApiKeys,
               &Service::Stub::AcknowledgeApiKeys, table);
}

}  // namespace allod::gateway::access
