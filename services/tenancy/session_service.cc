#include "services/tenancy/session_service.h"

#include <algorithm>
#include <cstdint>
#include <span>
#include <utility>

#include "services/common/digest.h"
#include "services/common/rpc/server.h"
#include "services/common/text_check.h"
#include "services/tenancy/convert_people.h"

namespace allod::tenancy {
namespace {

constexpr std::size_t kReasonCharsMax = 64;

// The call as one of the tenant's; an operator's is his own.
Call CountedFor(const std::string& tenant, const Call& call) {
  Call out = call;
  if (call.principal.kind == Caller::Kind::kService) out.principal = Caller::Tenant(tenant);
  return out;
}

Result<std::string> TokenDigestOf(const std::string& bytes) {
  if (bytes.size() != sizeof(Digest256)) {
    return InvalidArgument("INVALID_DIGEST", "id_token_sha256: a SHA-256 has 32 bytes");
  }
  return ToHex(std::span(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()));
}

// Personal: who it was and from where, which is of a person only: without a subject nobody could ask for it to be
// erased.
Result<audit::Access> RefusalFrom(const v1::ReportRefusedSignInRequest& request) {
  ALLOD_TRY(const auto parts,
            MatchName("identity_provider", request.identity_provider(), "tenants/*/identityProviders/*"));
  const bool is_reason = !request.reason().empty() && request.reason().size() <= kReasonCharsMax &&
                         std::ranges::all_of(request.reason(), [](char c) {
                           return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
                         });
  if (!is_reason) return InvalidArgument("INVALID_REASON", "reason: 1 to 64 of A to Z, digits and '_' are expected");
  if (!request.subject().empty()) ALLOD_CHECK_OK(CheckSubject("subject", request.subject()));
  ALLOD_CHECK_OK(CheckText("client_address", request.client_address(), 0, 64));
  ALLOD_CHECK_OK(CheckText("trace_id", request.trace_id(), 0, 32));
  audit::Access out{.tenant = "tenants/" + parts[0],
                    .actor = {"person", "", ""},
                    .action = "tenancy.sessions.begin",
                    .resource = request.identity_provider(),
                    .outcome = audit::Outcome::kRefused,
                    .reason = request.reason(),
                    .trace_id = request.trace_id()};
  // AuditErasure finds it by the provider and the subject.
  out.details.push_back({"identity_provider", parts[1]});
  if (request.subject().empty()) return out;
  out.details.push_back(audit::Personal("subject", request.subject()));
  if (!request.client_address().empty()) {
    out.details.push_back(audit::Personal("client_address", request.client_address()));
  }
  return out;
}

}  // namespace

grpc::Status SessionServiceImpl::ReportRefusedSignIn(grpc::ServerContext* context,
                                                     const v1::ReportRefusedSignInRequest* request,
                                                     v1::ReportRefusedSignInResponse* response) {
  return Handle(context, request, response, [&](const Call&) -> Result<v1::ReportRefusedSignInResponse> {
    ALLOD_TRY(audit::Access refusal, RefusalFrom(*request));
    record_(std::move(refusal));
    return v1::ReportRefusedSignInResponse();
  });
}

grpc::Status SessionServiceImpl::BeginSession(grpc::ServerContext* context, const v1::BeginSessionRequest* request,
                                              v1::Session* response) {
  return Handle(context, request, response, [&](const Call& asked) -> Result<v1::Session> {
    ALLOD_TRY(const Session session, SessionFromRequest(*request, clock_.Now()));
    ALLOD_TRY(const std::string id_token_sha256, TokenDigestOf(request->id_token_sha256()));
    const Call call = CountedFor(session.tenant, asked);
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.mutations, call));
    ALLOD_TRY(const SessionBeginning begun,
              InTurn(gates_.writes, call, [&] { return store_.BeginSession(session, id_token_sha256); }));
    if (begun.version > 0) gateways_.AwaitInForce(*context, session.tenant, begun.version);
    return ToProto(begun.session);
  });
}

grpc::Status SessionServiceImpl::ListSessions(grpc::ServerContext* context, const v1::ListSessionsRequest* request,
                                              v1::ListSessionsResponse* response) {
  return Handle(context, request, response, [&](const Call& asked) -> Result<v1::ListSessionsResponse> {
    ALLOD_TRY(const auto parts, MatchName("parent", request->parent(), "tenants/*"));
    ALLOD_TRY(const auto person, PersonOf(*request, parts[0]));
    const std::string scope =
        request->parent() + "/sessions " + request->identity_provider() + " " + request->subject();
    ALLOD_TRY(const PageRequest page, ParsePage(scope, request->page_size(), request->page_token()));
    if (!page.after.empty() && !Uuid::Parse(page.after)) {
      return InvalidArgument("INVALID_PAGE_TOKEN", "page_token: was not given out by this list");
    }
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reads, CountedFor(parts[0], asked)));
    ALLOD_TRY(const auto sessions, store_.ListSessions(parts[0], person, clock_.Now(), page));
    v1::ListSessionsResponse out;
    for (const Session& session : sessions.items) *out.add_sessions() = ToProto(session);
    out.set_next_page_token(sessions.next_page_token);
    return out;
  });
}

grpc::Status SessionServiceImpl::EndSessions(grpc::ServerContext* context, const v1::EndSessionsRequest* request,
                                             v1::EndSessionsResponse* response) {
  return Handle(context, request, response, [&](const Call& asked) -> Result<v1::EndSessionsResponse> {
    ALLOD_TRY(const auto parts, MatchName("parent", request->parent(), "tenants/*"));
    const std::string& tenant = parts[0];
    if (request->session().empty() != request->has_person()) {
      return InvalidArgument("INVALID_SESSION", "say either which session is to end, or of which person all are");
    }
    Uuid id;
    Person person;
    if (request->has_person()) {
      ALLOD_TRY(person, PersonFrom(request->person().identity_provider(), request->person().subject(), tenant));
    } else {
      ALLOD_TRY(id, SessionIdOf("session", request->session(), tenant));
    }
    const Call call = CountedFor(tenant, asked);
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.mutations, call));
    const Time now = FloorToMicros(clock_.Now());
    ALLOD_TRY(const SessionEnding ending, InTurn(gates_.writes, call, [&] {
                return request->has_person() ? store_.EndSessions(tenant, person, now)
                                             : store_.EndSession(tenant, id, now);
              }));
    gateways_.AwaitInForce(*context, tenant, ending.version);
    v1::EndSessionsResponse out;
    out.set_ended(ending.ended);
    return out;
  });
}

}  // namespace allod::tenancy
