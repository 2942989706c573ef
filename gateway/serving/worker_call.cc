#include "gateway/serving/worker_call.h"

#include "services/common/rpc/client.h"

namespace allod::gateway::serving {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

http::Awaitable<void> WorkerCall::Finish() {
  Cancel();
  while (true) {
    const Event event = co_await Next(SteadyTime::max());
    if (event == Event::kEnd) co_return;
  }
}

std::unique_ptr<grpc::ClientContext> MakeWorkerContext(steady_clock::time_point deadline, const Trace& trace) {
  std::unique_ptr<grpc::ClientContext> context = MakeStreamContext(Caller::Service("gateway"), &trace);
  context->set_wait_for_ready(true);
  context->set_deadline(std::chrono::system_clock::now() +
                        std::chrono::duration_cast<milliseconds>(deadline - steady_clock::now()));
  return context;
}

}  // namespace allod::gateway::serving
