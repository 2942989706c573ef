// RPCs of SessionService. Thread-safe; borrows all that it is given. What ends sessions returns when the gateways that
// keep up refuse them. A gateway asks for a tenant's people: its calls count as the tenant's, so that a crowd that
// signs in keeps nobody else from the database.
#pragma once

#include <functional>
#include <utility>

#include "allod/tenancy/v1/session.grpc.pb.h"
#include "services/common/audit/access_tally.h"
#include "services/common/clock.h"
#include "services/tenancy/call_gates.h"
#include "services/tenancy/identity_service.h"
#include "services/tenancy/session_store.h"

namespace allod::tenancy {

class SessionServiceImpl final : public v1::SessionService::Service {
 public:
  // `record` is told of those who were refused; it must not block.
  SessionServiceImpl(
      SessionStore& store, IdentityServiceImpl& gateways, const Clock& clock, CallGates& gates,
      std::function<void(audit::Access)> record = [](const audit::Access&) {})
      : store_(store), gateways_(gateways), clock_(clock), gates_(gates), record_(std::move(record)) {}

  grpc::Status BeginSession(grpc::ServerContext* context, const v1::BeginSessionRequest* request,
                            v1::Session* response) override;
  grpc::Status ReportRefusedSignIn(grpc::ServerContext* context, const v1::ReportRefusedSignInRequest* request,
                                   v1::ReportRefusedSignInResponse* response) override;
  grpc::Status ListSessions(grpc::ServerContext* context, const v1::ListSessionsRequest* request,
                            v1::ListSessionsResponse* response) override;
  grpc::Status EndSessions(grpc::ServerContext* context, const v1::EndSessionsRequest* request,
                           v1::EndSessionsResponse* response) override;

 private:
  SessionStore& store_;
  IdentityServiceImpl& gateways_;
  const Clock& clock_;
  CallGates& gates_;
  const std::function<void(audit::Access)> record_;
};

}  // namespace allod::tenancy
