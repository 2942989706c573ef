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

// Owned by its callback.
struct Refusals::Telling {
  std::unique_ptr<grpc::ClientContext> context;
  tenancy::v1::ReportRefusedSignInRequest request;
  tenancy::v1::ReportRefusedSignInResponse response;
};

Refusals::Refusals(const std::shared_ptr<grpc::Channel>& tenancy, const federation::TrustTable& table)
    : stub_(tenancy::v1::SessionService::NewStub(tenancy)), table_(table) {}

// A callback must not be the last to have the channel, whose thread it runs on.
Refusals::~Refusals() {
  std::unique_lock lock(mutex_);
  for (Telling* telling : under_way_) telling->context->TryCancel();
  changed_.wait(lock, [this] { return under_way_.empty(); });
}

void Refusals::Tell(const Refusal& refusal, const Error& error, const Trace& trace) {
  if (!IsRefusal(error)) return;
  const auto trust = table_.Find(TenantOf(refusal.provider));
  if (!trust || !*trust || (*trust)->ProviderNamed(refusal.provider) == nullptr) return;
  auto made = std::make_unique<Telling>();
  made->context = MakeContext(Caller::Service("gateway"), kTellTimeout, &trace);
  made->request.set_identity_provider(refusal.provider);
  made->request.set_reason(error.reason);
  made->request.set_subject(refusal.subject);
  made->request.set_client_address(refusal.address);
  made->request.set_trace_id(trace.trace_id);
  Telling* telling = made.get();
  {
    const std::lock_guard lock(mutex_);
    if (under_way_.size() >= static_cast<std::size_t>(kUnderWayMax)) return;
    under_way_.insert(made.release());
  }
  // The callback never runs inside the call that starts it.
  stub_->async()->ReportRefusedSignIn(telling->context.get(), &telling->request, &telling->response,
                                      [this, telling](const grpc::Status&) {
                                        const std::lock_guard lock(mutex_);
                                        under_way_.erase(telling);
                                        delete telling;
                                        changed_.notify_all();
                                      });
}

}  // namespace allod::gateway::sign_in
