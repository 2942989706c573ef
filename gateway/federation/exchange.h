// Token exchange (RFC 8693), without I/O: what a request asks for, and what a rule grants to verified claims.
//
// Errors have the code of the HTTP status and, as `reason`, that of the log; ErrorJson says which of RFC 6749 and RFC
// 8693 they are. Messages are safe to show to strangers: what a tenant trusts is told only to who has a token of a
// trusted issuer.
#pragma once

#include <string>
#include <string_view>

#include "gateway/federation/trust_table.h"
#include "gateway/federation/workload_token.h"
#include "services/common/jose/token.h"
#include "services/common/result.h"

namespace allod::gateway::federation {

struct ExchangeRequest {
  std::string subject_token;
  std::string tenant;   // `tenants/{tenant}`
  std::string project;  // `tenants/{tenant}/projects/{project}`
  std::string rule;     // full name; empty: the one rule of the project that matches
  // What is asked for at most; all that the rule grants if neither is named.
  bool inference = true;
  bool portal = true;
};

// From `application/x-www-form-urlencoded`. INVALID_ARGUMENT / INVALID_REQUEST, UNSUPPORTED_GRANT_TYPE, INVALID_TARGET,
// INVALID_SCOPE.
Result<ExchangeRequest> ParseExchangeRequest(std::string_view form);

// INVALID_ARGUMENT / NO_SUCH_TRUST: the one answer for every way in which nothing at the target takes a token.
std::unexpected<Error> NothingTakesIt();

// By the rule that matches; its roles and scopes. INVALID_ARGUMENT / NO_RULE_MATCHES, SEVERAL_RULES_MATCH,
// SCOPE_NOT_GRANTED.
Result<WorkloadToken> Grant(const ExchangeRequest& request, const Trust& trust, const Provider& provider,
                            const jose::Claims& claims, Time now);

// {"error", "error_description"} of RFC 6749 section 5.2.
std::string ErrorJson(const Error& error);
int ErrorStatus(const Error& error);
// {"access_token", "issued_token_type", "token_type", "expires_in", "scope"} of RFC 8693 section 2.2.1.
std::string AnswerJson(const std::string& access_token, const WorkloadToken& token);

}  // namespace allod::gateway::federation
