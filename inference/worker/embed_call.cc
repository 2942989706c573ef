#include "inference/worker/embed_call.h"

#include <utility>

#include "inference/worker/convert.h"
#include "services/common/call_scope.h"
#include "services/common/rpc/call.h"

namespace allod::inference::worker {

EmbedCall* EmbedCall::Start(CallThreads& threads, grpc::CallbackServerContext& context, const v1::EmbedRequest& request,
                            v1::EmbedResponse& response) {
  const std::shared_ptr<EmbedCall> call(new EmbedCall(TraceOf(context), response));
  call->self_ = call;
  const Status started = RunCatching([&]() -> Status {
    ALLOD_CHECK_OK(Authorise(MethodOf<v1::EmbedRequest>(), context, &request));
    call->request_ = FromProto(request);
    return threads.Submit(call);
  });
  if (!started) call->End(started);
  return call.get();
}

void EmbedCall::SubmitTo(ports::Servable& servable) {
  const auto self = shared_from_this();
  const ports::EmbeddingRequest request = std::exchange(request_, {});
  const Status submitted = RunCatching([&]() -> Status {
    if (is_cancelled_.load()) return Fail(Code::kCancelled, "CANCELLED", "the caller went away");
    return servable.SubmitEmbedding(
        request, [self] { return self->is_cancelled_.load(); },
        [self](const Result<ports::Embeddings>& embeddings) {
          self->End(RunCatching([&]() -> Status {
            ALLOD_CHECK_OK(embeddings);
            self->response_ = ToProto(*embeddings);
            return {};
          }));
        });
  });
  if (!submitted) End(submitted);
}

void EmbedCall::End(const Status& status) {
  const CallScope scope(Deadline::None(), trace_);
  Finish(FinishRpc(observation_, status));
}

void EmbedCall::OnDone() {
  // Others may hold it for a moment longer.
  const std::shared_ptr<EmbedCall> last = std::move(self_);
}

}  // namespace allod::inference::worker
