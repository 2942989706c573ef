#include "cli/net/operations.h"

#include "allod/catalog/v1/model.pb.h"
#include "allod/scheduling/v1/instance.pb.h"
#include "cli/net/connections.h"
#include "cli/terminal/progress.h"
#include "google/longrunning/operations.grpc.pb.h"

namespace allod::cli::net {
namespace {

using google::longrunning::Operation;
using google::longrunning::Operations;

// What the operation says of itself, whichever service it is of.
void ShowMetadata(const Operation& operation, terminal::Progress& progress) {
  if (catalog::v1::JobMetadata job; operation.metadata().UnpackTo(&job)) {
    progress.Show(job.phase().empty() ? "waiting" : job.phase(), job.progress());
  } else if (scheduling::v1::InstanceOperationMetadata instance; operation.metadata().UnpackTo(&instance)) {
    progress.Show(instance.phase(), -1);
  }
}

}  // namespace

Status WaitForChange(const Services& services, const Change& change, const std::string& what) {
  if (change.process.empty()) return {};
  terminal::Progress progress(what);
  const auto stub = Connect<Operations>(services, change.process);
  Operation operation = change.operation;
  // Services may be restarted under the operation; it is in their database and goes on.
  constexpr std::chrono::seconds kPatience{30};
  auto reached = std::chrono::steady_clock::now();
  while (!operation.done()) {
    ShowMetadata(operation, progress);
    google::longrunning::WaitOperationRequest request;
    request.set_name(operation.name());
    request.mutable_timeout()->set_nanos(300'000'000);
    auto next = Ask(*stub, &Operations::Stub::WaitOperation, request);
    const auto now = std::chrono::steady_clock::now();
    if (next) {
      reached = now;
      operation = *std::move(next);
    } else if (next.error().code != Code::kUnavailable || now - reached > kPatience) {
      return std::unexpected(next.error());
    }
  }
  if (operation.has_error()) {
    progress.Finish("failed");
    return std::unexpected(FromRpcStatus(operation.error()));
  }
  progress.Finish("done");
  return {};
}

}  // namespace allod::cli::net
