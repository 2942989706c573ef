// From a person's ID token to a session: verified, matched with the tenant's members, and recorded by the tenancy
// service before it holds. Of whom it refuses the tenant's audit log is told. Thread-safe.
//
// A session is of the tenant that the sign-in was begun with, whoever else trusts the same issuer and is known to it by
// the same name: the members are that tenant's alone, and so is whatever comes of them.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "allod/tenancy/v1/session.grpc.pb.h"
#include "gateway/federation/token_verifier.h"
#include "gateway/federation/trust_table.h"
#include "gateway/http/response_writer.h"
#include "gateway/sign_in/refusals.h"
#include "gateway/sign_in/session_times.h"
#include "gateway/sign_in/session_token.h"
#include "gateway/sign_in/shown_tokens.h"
#include "services/common/clock.h"

namespace allod::gateway::sign_in {

class SessionStarter {
 public:
  // All but `tenancy` must outlive this.
  SessionStarter(const std::shared_ptr<grpc::Channel>& tenancy, const federation::TrustTable& table,
                 federation::TokenVerifier& verifier, const SessionSealer& sealer, Refusals& refusals,
                 const Clock& clock, SessionTimes times);

  struct Request {
    std::string provider;  // full name
    std::string id_token;
    std::string nonce;  // of the attempt; empty: there was none, and the token must be minutes old and have none
    tenancy::v1::Session::Client client = tenancy::v1::Session::CLIENT_BROWSER;
    std::string address;
    std::string user_agent;
  };
  // What TokenVerifier and CheckIdToken() say; UNAUTHENTICATED / NO_SUCH_TRUST for a provider with which nobody signs
  // in, TOKEN_STALE, TOKEN_REPLAYED; PERMISSION_DENIED / NOT_A_MEMBER, EMAIL_NOT_VERIFIED; RESOURCE_EXHAUSTED /
  // TOO_MANY_MEMBERSHIPS; what BeginSession says.
  http::Awaitable<Result<SessionToken>> Start(Request request, http::ResponseWriter& out);

 private:
  // `subject` becomes that of a token that is genuine.
  http::Awaitable<Result<SessionToken>> Try(const Request& request, std::string& subject, http::ResponseWriter& out);
  http::Awaitable<Result<tenancy::v1::Session>> Begin(tenancy::v1::BeginSessionRequest request,
                                                      http::ResponseWriter& out);

  const std::unique_ptr<tenancy::v1::SessionService::Stub> stub_;
  const federation::TrustTable& table_;
  federation::TokenVerifier& verifier_;
  const SessionSealer& sealer_;
  Refusals& refusals_;
  const Clock& clock_;
  const SessionTimes times_;
  ShownTokens shown_;
};

}  // namespace allod::gateway::sign_in
