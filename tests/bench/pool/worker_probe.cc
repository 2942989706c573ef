#include "tests/bench/pool/worker_probe.h"

#include <filesystem>
#include <stdexcept>

#include "services/common/ids.h"
#include "services/common/rpc/client.h"

namespace allod::bench {

using inference::v1::WorkerService;
using std::chrono::seconds;

WorkerProbe::WorkerProbe(const Installation& installation, const TenantAccess& tenant, const std::string& instance)
    : tenant_uid_(Uuid::FromName(tenant.name).ToString()), instance_(instance) {
  for (const auto& entry : std::filesystem::directory_iterator(installation.run_dir() / "workers")) {
    if (!entry.is_socket()) continue;
    auto candidate = WorkerService::NewStub(MakeChannel("unix:" + entry.path().string()));
    const auto status = CallUnary(*candidate, &WorkerService::Stub::GetWorkerStatus,
                                  inference::v1::GetWorkerStatusRequest(), Caller::Service("gateway"), seconds(2));
    if (status && status->instance() == instance) worker_ = std::move(candidate);
  }
  if (!worker_) throw std::runtime_error("no worker answers for " + instance);
}

inference::v1::GenerateResponse::Finished WorkerProbe::AskOneToken(const std::string& prompt) {
  inference::v1::GenerateRequest request;
  request.set_request_id(Uuid::V7().ToString());
  request.set_tenant_uid(tenant_uid_);
  request.set_instance(instance_);
  request.set_max_completion_tokens(1);
  request.mutable_sampling()->set_temperature(0);
  request.set_text(prompt);
  const auto context = MakeContext(Caller::Service("gateway"), seconds(30));
  const auto reader = worker_->Generate(context.get(), request);
  inference::v1::GenerateResponse response;
  inference::v1::GenerateResponse::Finished finished;
  bool ended = false;
  while (reader->Read(&response)) {
    if (!response.has_finished()) continue;
    finished = response.finished();
    ended = true;
  }
  const grpc::Status status = reader->Finish();
  if (!ended) throw std::runtime_error("the worker of " + instance_ + " did not answer: " + status.error_message());
  return finished;
}

inference::v1::WorkerStatus WorkerProbe::Status() {
  auto status = CallUnary(*worker_, &WorkerService::Stub::GetWorkerStatus, inference::v1::GetWorkerStatusRequest(),
                          Caller::Service("gateway"), seconds(5));
  if (!status) throw std::runtime_error("no status of " + instance_ + ": " + status.error().message);
  return *status;
}

}  // namespace allod::bench
