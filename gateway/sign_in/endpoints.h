// `/auth/...`: people sign in and out, and whoever has a credential is told who it is. Thread-safe.
//
//   GET  /auth/providers?tenant=ke           with what people of the tenant sign in
//   GET  /auth/sign-in?tenant=ke             sends a browser to the identity provider (authorization code with PKCE)
//   GET  /auth/callback                      where it comes back to: begins a session, in a cookie
//   POST /auth/session                       the same for an ID token that a command line got (RFC 8628)
//   POST /auth/sign-out[?everywhere=true]    ends the session, or all of the person's
//   GET  /auth/whoami                        who asks, with which roles
//
// The first four are open to strangers and counted by their address first; a sign-in that is refused is in the log with
// its reason, without the token, and in the audit log of the tenant whose provider it was to be with (refusals.h).
#pragma once

#include <memory>
#include <string>

#include "allod/tenancy/v1/session.grpc.pb.h"
#include "gateway/access/principal.h"
#include "gateway/access/rate_limiter.h"
#include "gateway/access/route_guard.h"
#include "gateway/sign_in/attempt.h"
#include "gateway/sign_in/session_starter.h"
#include "services/common/web/fetcher.h"

namespace allod::gateway::sign_in {

struct EndpointsConfig {
  // Of this gateway as browsers know it: scheme, host and port. Empty: no browser signs in here.
  std::string public_url;
  int per_address_per_minute = 120;
};

// The cookies of sessions and of attempts, by what browsers know this gateway as.
access::BrowserCredential BrowserCredentialOf(const std::string& public_url, SessionTimes times);

class Endpoints {
 public:
  // All but `tenancy` must outlive this.
  Endpoints(EndpointsConfig config, const std::shared_ptr<grpc::Channel>& tenancy, const federation::TrustTable& table,
            federation::TokenVerifier& verifier, Fetcher& fetcher, SessionStarter& starter, Refusals& refusals,
            const SessionSealer& sessions, const AttemptSealer& attempts, const Clock& clock, SessionTimes times);

  http::Awaitable<void> Providers(http::Request& request, http::ResponseWriter& out);
  http::Awaitable<void> SignIn(http::Request& request, http::ResponseWriter& out);
  http::Awaitable<void> Callback(http::Request& request, http::ResponseWriter& out);
  http::Awaitable<void> BeginSession(http::Request& request, http::ResponseWriter& out);
  http::Awaitable<void> SignOut(const access::Principal& principal, http::Request& request, http::ResponseWriter& out);
  http::Awaitable<void> WhoAmI(const access::Principal& principal, http::Request& request, http::ResponseWriter& out);

 private:
  Result<access::RateLimiter::Permit> Admit(const http::Request& request);
  // Why there is none is for people to read.
  http::Awaitable<Result<http::Response>> Redirect(const http::Request& request, http::ResponseWriter& out);
  http::Awaitable<Result<http::Response>> Return(const http::Request& request, const Attempt& attempt,
                                                 http::ResponseWriter& out);
  static void LogRefusal(const Error& error, const std::string& provider, const http::Request& request,
                         const http::ResponseWriter& out);
  http::Awaitable<Result<std::string>> Fetch(FetchRequest request, http::ResponseWriter& out);
  http::Awaitable<Result<http::Response>> SessionOf(const http::Request& request, http::ResponseWriter& out);
  std::string RedirectUri() const { return config_.public_url + "/auth/callback"; }
  bool secure() const { return config_.public_url.starts_with("https://"); }
  std::string AttemptCookie() const { return secure() ? "__Host-allod-sign-in" : "allod-sign-in"; }

  const EndpointsConfig config_;
  const access::BrowserCredential browser_;
  const std::unique_ptr<tenancy::v1::SessionService::Stub> stub_;
  const federation::TrustTable& table_;
  federation::TokenVerifier& verifier_;
  Fetcher& fetcher_;
  SessionStarter& starter_;
  Refusals& refusals_;
  const SessionSealer& sessions_;
  const AttemptSealer& attempts_;
  const Clock& clock_;
  access::RateLimiter addresses_;
  access::RateLimiter codes_;  // by tenant
};

}  // namespace allod::gateway::sign_in
