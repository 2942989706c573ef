#include "gateway/api_keys.h"

#include <algorithm>
#include <cctype>
#include <mutex>

#include "allod/tenancy/v1/api_key.grpc.pb.h"
#include "services/common/ids.h"
#include "services/common/log.h"

namespace allod::gateway {
namespace {

std::unexpected<Error> Unauthenticated(std::string message) {
  return Fail(Code::kUnauthenticated, "INVALID_API_KEY", std::move(message));
}

// The token of "Bearer <token>", the scheme in any case (RFC 6750, RFC 9110).
std::string_view BearerToken(std::string_view authorization) {
  constexpr std::string_view kScheme = "bearer ";
  if (authorization.size() <= kScheme.size()) return {};
  const bool matches = std::ranges::equal(authorization.substr(0, kScheme.size()), kScheme, [](char a, char b) {
    return std::tolower(static_cast<unsigned char>(a)) == b;
  });
  return matches ? authorization.substr(kScheme.size()) : std::string_view();
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
  principal.kid = key.kid();
  principal.key_name = key.name();
  principal.tenant_id = ids->at(0);
  principal.tenant = "tenants/" + ids->at(0);
  principal.project = principal.tenant + "/projects/" + ids->at(1);
  principal.inference = principal.portal = key.scopes().empty();
  for (const int scope : key.scopes()) {
    if (scope == tenancy::v1::ApiKey::SCOPE_INFERENCE) principal.inference = true;
    if (scope == tenancy::v1::ApiKey::SCOPE_PORTAL) principal.portal = true;
  }
  entries[key.kid()] = std::move(entry);
}

void ApiKeyTable::BeginSnapshot() {
  const std::unique_lock lock(mutex_);
  in_snapshot_ = true;
  snapshot_.clear();
}

void ApiKeyTable::Apply(const tenancy::v1::WatchApiKeysResponse& message) {
  const std::unique_lock lock(mutex_);
  for (const auto& key : message.keys()) ApplyKey(key, in_snapshot_ ? snapshot_ : entries_);
  if (in_snapshot_ && message.synced()) {
    entries_ = std::move(snapshot_);
    snapshot_.clear();
    in_snapshot_ = false;
    synced_ = true;
  }
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
  if (!synced_) {
    Error error{Code::kUnavailable, "KEYS_NOT_SYNCED",
                "the gateway is still fetching its API keys; try again in a second"};
    error.retry_after = std::chrono::milliseconds(500);
    return std::unexpected(std::move(error));
  }
  const auto it = entries_.find(key.kid);
  // An unknown key costs the same comparison as a known one.
  const ApiKeyDigest stored = it == entries_.end() ? ApiKeyDigest{} : it->second.digest;
  if (!SameDigest(stored, digest) || it == entries_.end()) {
    return Unauthenticated("the API key is not valid or was revoked");
  }
  return it->second.principal;
}

std::unique_ptr<WatchLoop> WatchApiKeys(std::shared_ptr<grpc::Channel> tenancy, ApiKeyTable& table) {
  return std::make_unique<WatchLoop>("api-keys", [tenancy, &table](grpc::ClientContext& context) {
    const auto stub = tenancy::v1::ApiKeyService::NewStub(tenancy);
    const auto reader = stub->WatchApiKeys(&context, tenancy::v1::WatchApiKeysRequest());
    table.BeginSnapshot();
    tenancy::v1::WatchApiKeysResponse message;
    while (reader->Read(&message)) table.Apply(message);
    return reader->Finish();
  });
}

}  // namespace allod::gateway
