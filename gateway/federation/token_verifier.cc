#include "gateway/federation/token_verifier.h"

#include <limits>
#include <utility>

#include "gateway/http/await_answer.h"

namespace allod::gateway::federation {
namespace {

using std::chrono::steady_clock;

// How many tokens with keys that are not known may wait for newer ones of a tenant's issuers: less than one issuer has
// room for, so that who names one tenant leaves room for others'.
constexpr int kNewerKeysWaitsOfTenant = 128;
static_assert(kNewerKeysWaitsOfTenant < IssuerKeys::kWaitersMax);
constexpr int kUnlimitedPerMinute = std::numeric_limits<std::int32_t>::max();

}  // namespace

TokenVerifier::TokenVerifier(IssuerKeys& keys, const Clock& clock)
    : keys_(keys),
      clock_(clock),
      newer_keys_({.requests_per_minute = kUnlimitedPerMinute,
                   .tokens_per_minute = kUnlimitedPerMinute,
                   .concurrency = kNewerKeysWaitsOfTenant}) {}

http::Awaitable<Result<KnownIssuer>> TokenVerifier::Await(const std::string& issuer, const std::string& tenant,
                                                          KnownIssuer known, http::ResponseWriter& out) {
  const std::function<void(IssuerKeys::Done)> start = [&](IssuerKeys::Done done) {
    if (known) {
      keys_.GetNewer(issuer, tenant, known, std::move(done));
    } else {
      keys_.Get(issuer, tenant, std::move(done));
    }
  };
  const auto found = co_await http::AwaitAnswer<KnownIssuer>(start, kWaitForKeys, out);
  if (found) co_return *found;
  Error error{Code::kUnavailable, "ISSUER_UNAVAILABLE", "the keys of " + issuer + " did not come in time; try again"};
  co_return std::unexpected(std::move(error));
}

http::Awaitable<Result<KnownIssuer>> TokenVerifier::Find(std::string issuer, std::string tenant,
                                                         http::ResponseWriter& out) {
  co_return co_await Await(issuer, tenant, nullptr, out);
}

http::Awaitable<Result<jose::Claims>> TokenVerifier::Verify(const jose::UnverifiedToken& token, std::string issuer,
                                                            std::vector<std::string> audiences, std::string tenant,
                                                            http::ResponseWriter& out) {
  Result<KnownIssuer> known = co_await Await(issuer, tenant, nullptr, out);
  if (!known) co_return std::unexpected(known.error());
  const auto verify = [&] {
    return jose::Verify(token, (*known)->keys, {.issuer = issuer, .audiences = audiences, .now = clock_.Now()});
  };
  Result<jose::Claims> claims = verify();
  if (claims || claims.error().reason != "TOKEN_KEY_UNKNOWN") co_return claims;
  access::Standing ignored;
  const auto place = newer_keys_.Admit(tenant, steady_clock::now(), ignored);
  if (!place) co_return claims;
  known = co_await Await(issuer, tenant, *known, out);
  if (!known) co_return std::unexpected(known.error());
  co_return verify();
}

}  // namespace allod::gateway::federation
