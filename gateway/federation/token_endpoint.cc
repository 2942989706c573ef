#include "gateway/federation/token_endpoint.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "gateway/http/client_address.h"
#include "gateway/http/message.h"
#include "services/common/log.h"

namespace allod::gateway::federation {
namespace {

using std::chrono::steady_clock;

constexpr std::size_t kLoggedChars = 256;
// What one address may have in progress: waits for an issuer's keys above all.
constexpr int kConcurrencyOfAddress = 32;
constexpr int kUnlimited = std::numeric_limits<std::int32_t>::max();

access::RateLimits LimitsOf(int per_minute, int concurrency) {
  return {.requests_per_minute = per_minute, .tokens_per_minute = kUnlimited, .concurrency = concurrency};
}

Result<access::RateLimiter::Permit> Admit(access::RateLimiter& limiter, const std::string& who, const char* what) {
  access::Standing ignored;
  auto permit = limiter.Admit(who, steady_clock::now(), ignored);
  if (!permit) {
    permit.error().message = std::string("too many tokens are asked for ") + what + "; try again later";
    permit.error().reason = "TOO_MANY_EXCHANGES";
  }
  return permit;
}

// What is said of a token that nobody vouches for is the same whatever is wrong with it.
Error ForStrangers(const Error& error) {
  for (const char* reason :
       {"TOKEN_ALGORITHM", "TOKEN_KEY_UNKNOWN", "TOKEN_KEY_AMBIGUOUS", "TOKEN_SIGNATURE", "TOKEN_ISSUER"}) {
    if (error.reason == reason) return NothingTakesIt().error();
  }
  return error;
}

http::Response Answer(int status, std::string body) {
  http::Response out;
  out.status = status;
  out.headers = {{"cache-control", "no-store"}, {"pragma", "no-cache"}};
  out.body = std::move(body);
  return out;
}

http::Response Refusal(const Error& error) {
  http::Response out = Answer(ErrorStatus(error), ErrorJson(ForStrangers(error)));
  if (out.status == 429 || out.status == 503) {
    const auto wait = error.retry_after.value_or(std::chrono::milliseconds(5000));
    out.headers.emplace_back("retry-after", std::to_string(std::max<long>(1, (wait.count() + 999) / 1000)));
  }
  return out;
}

}  // namespace

TokenEndpoint::TokenEndpoint(const TrustTable& table, TokenVerifier& verifier, const WorkloadTokenSealer& sealer,
                             const Clock& clock, EndpointLimits limits)
    : table_(table),
      verifier_(verifier),
      sealer_(sealer),
      clock_(clock),
      addresses_(LimitsOf(limits.per_address_per_minute, kConcurrencyOfAddress)),
      tenants_(LimitsOf(limits.per_tenant_per_minute, kUnlimited)) {}

http::Awaitable<Result<WorkloadToken>> TokenEndpoint::Exchange(const http::Request& request, http::ResponseWriter& out,
                                                               ExchangeRequest& asked) {
  const std::string address = request.client ? http::LimitedAddress(*request.client) : request.ClientText();
  const auto of_address = Admit(addresses_, address, "from this address");
  if (!of_address) co_return std::unexpected(of_address.error());
  const std::string_view type = request.Header("content-type");
  if (!http::SameToken(type.substr(0, type.find(';')), "application/x-www-form-urlencoded")) {
    co_return InvalidArgument("INVALID_REQUEST", "the body must be application/x-www-form-urlencoded");
  }
  Result<ExchangeRequest> parsed = ParseExchangeRequest(request.body);
  if (!parsed) co_return std::unexpected(parsed.error());
  asked = *std::move(parsed);
  const Result<jose::UnverifiedToken> token = jose::UnverifiedToken::Parse(asked.subject_token);
  if (!token) co_return std::unexpected(token.error());
  const Result<std::shared_ptr<const Trust>> trust = table_.Find(asked.tenant);
  if (!trust) co_return std::unexpected(trust.error());
  // What nobody vouches for yet only chooses among the providers of the tenant.
  const Provider* provider = *trust ? (*trust)->ProviderOf(token->issuer()) : nullptr;
  if (provider == nullptr) co_return NothingTakesIt();

  const Result<jose::Claims> claims =
      co_await verifier_.Verify(*token, provider->issuer, provider->audiences, asked.tenant, out);
  if (!claims) co_return std::unexpected(claims.error());
  Result<WorkloadToken> granted = Grant(asked, **trust, *provider, *claims, clock_.Now());
  if (!granted) co_return std::unexpected(granted.error());
  // Only now: neither forged tokens nor genuine ones of strangers at a public issuer use up what the tenant has.
  const auto of_tenant = Admit(tenants_, asked.tenant, "of this tenant");
  if (!of_tenant) co_return std::unexpected(of_tenant.error());
  co_return granted;
}

http::Awaitable<void> TokenEndpoint::Handle(http::Request& request, http::ResponseWriter& out) {
  ExchangeRequest asked;
  const Result<WorkloadToken> token = co_await Exchange(request, out, asked);
  http::Response response;
  if (token) {
    Log(LogLevel::kInfo, "exchanged a workload's token",
        {{"rule", token->rule},
         {"subject", token->subject.substr(0, kLoggedChars)},
         {"id", token->id.ToString()},
         {"trace", out.trace().trace_id}});
    response = Answer(200, AnswerJson(sealer_.Seal(*token), *token));
  } else if (token.error().code == Code::kResourceExhausted) {
    // Not logged: a flood of them would push everything else out of the log.
    response = Refusal(token.error());
  } else {
    Log(LogLevel::kInfo, "refused a workload's token",
        {{"reason", token.error().reason},
         {"target", asked.rule.empty() ? asked.project : asked.rule},
         {"address", request.ClientText()},
         {"trace", out.trace().trace_id}});
    response = Refusal(token.error());
  }
  co_await out.Send(std::move(response));
}

}  // namespace allod::gateway::federation
