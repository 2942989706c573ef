#include "gateway/sign_in/refusals.h"

#include "services/common/ids.h"
#include "services/common/rpc/client.h"

namespace allod::gateway::sign_in {
namespace {

constexpr std::chrono::milliseconds kTellTimeout{5000};

bool IsRefusal(const Error& error) {
  return error.code == Code::kUnauthenticated || error.code == Code::kPermissionDenied ||
         error.code == Code::kInvalidArgument;
}

}  // namespace

Refusals::Refusals(const std::shared_ptr<grpc::Channel>& tenancy, const federation::TrustTable& table)
    : peer_(std::make_shared<Peer>()), table_(table) {
  peer_->stub = tenancy::v1::SessionService::NewStub(tenancy);
}

void Refusals::Tell(const Refusal& refusal, const Error& error, const Trace& trace) {
  if (!IsRefusal(error)) return;
  const auto trust = table_.Find(TenantOf(refusal.provider));
  if (!trust || !*trust || (*trust)->ProviderNamed(refusal.provider) == nullptr) return;
  struct Telling {
    std::unique_ptr<grpc::ClientContext> context;
    tenancy::v1::ReportRefusedSignInRequest request;
    tenancy::v1::ReportRefusedSignInResponse response;
  };
  const auto peer = peer_;
  if (peer->under_way.fetch_add(1) >= kUnderWayMax) {
    peer->under_way.fetch_sub(1);
    return;
  }
  auto telling = std::make_shared<Telling>();
  telling->context = MakeContext(Caller::Service("gateway"), kTellTimeout, &trace);
  telling->request.set_identity_provider(refusal.provider);
  telling->request.set_reason(error.reason);
  telling->request.set_subject(refusal.subject);
  telling->request.set_client_address(refusal.address);
  telling->request.set_trace_id(trace.trace_id);
  peer->stub->async()->ReportRefusedSignIn(telling->context.get(), &telling->request, &telling->response,
                                           [peer, telling](const grpc::Status&) { peer->under_way.fetch_sub(1); });
}

}  // namespace allod::gateway::sign_in
