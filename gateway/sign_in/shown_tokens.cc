#include "gateway/sign_in/shown_tokens.h"

#include <utility>

#include "services/common/ids.h"

namespace allod::gateway::sign_in {
namespace {

constexpr std::chrono::minutes kRetryAfter{1};

}  // namespace

Status ShownTokens::Claim(const Digest256& token, const std::string& provider, Time end, Time now) {
  const std::scoped_lock lock(mutex_);
  ForgetUntil(now);
  if (const auto found = tokens_.find(token); found != tokens_.end()) {
    if (found->second.provider == provider) return {};
    return Fail(Code::kUnauthenticated, "TOKEN_REPLAYED",
                "the ID token was shown to sign in to another tenant before; sign in again");
  }
  const std::string tenant = TenantOf(provider);
  const auto counted = per_tenant_.find(tenant);
  if (tokens_.size() >= kTokensMax || (counted != per_tenant_.end() && counted->second >= kPerTenantMax)) {
    Error error{Code::kResourceExhausted, "TOO_MANY_SIGN_INS",
                "more people sign in by the command line at the same time than this gateway can keep apart; try again "
                "later, or sign in with a browser"};
    error.retry_after = kRetryAfter;
    return std::unexpected(std::move(error));
  }
  tokens_[token] = {provider, end};
  by_end_.emplace(end, token);
  ++per_tenant_[tenant];
  return {};
}

void ShownTokens::ForgetUntil(Time now) {
  while (!by_end_.empty() && by_end_.begin()->first <= now) {
    const auto gone = tokens_.find(by_end_.begin()->second);
    const auto counted = per_tenant_.find(TenantOf(gone->second.provider));
    if (--counted->second == 0) per_tenant_.erase(counted);
    tokens_.erase(gone);
    by_end_.erase(by_end_.begin());
  }
}

}  // namespace allod::gateway::sign_in
