#include "services/scheduling/operation_answer.h"

#include <google/protobuf/empty.pb.h>
#include <google/rpc/status.pb.h>
#include <prometheus/counter.h>

#include "services/common/log.h"
#include "services/common/metrics.h"
#include "services/common/rpc/status.h"
#include "services/scheduling/convert.h"

namespace allod::scheduling {
namespace {

prometheus::Counter& BrokenInstances() {
  static auto& counter = prometheus::BuildCounter()
                             .Name("allod_scheduling_broken_instances_total")
                             .Help("Instances that were left out of lists because rows of theirs are missing")
                             .Register(Metrics())
                             .Add({});
  return counter;
}

}  // namespace

bool IsWhole(const Instance& instance) {
  const Status whole = CheckWhole(instance);
  if (whole) return true;
  BrokenInstances().Increment();
  Log(LogLevel::kError, "an instance is left out of a list",
      {{"instance", instance.name}, {"reason", whole.error().reason}, {"message", whole.error().message}});
  return false;
}

google::longrunning::Operation AnswerFor(const Operation& operation, const Instance* instance) {
  google::longrunning::Operation out;
  out.set_name(OperationName(operation));
  out.mutable_metadata()->PackFrom(MetadataOf(operation));
  out.set_done(operation.done);
  if (!operation.done) return out;
  if (operation.error) {
    *out.mutable_error() = ToRpcStatus(*operation.error);
  } else if (operation.kind == OperationKind::kDelete) {
    out.mutable_response()->PackFrom(google::protobuf::Empty());
  } else {
    const bool stands = instance != nullptr && instance->id == operation.instance;
    out.mutable_response()->PackFrom(stands ? ToProto(*instance) : Remains(operation));
  }
  return out;
}

Result<google::longrunning::Operation> AnswerFor(const Operation& operation, Store& store) {
  if (!AnswersWithInstance(operation)) return AnswerFor(operation, nullptr);
  const auto instance = store.GetInstance(operation.tenant, operation.instance_name);
  if (!instance && instance.error().code != Code::kNotFound) return std::unexpected(instance.error());
  return AnswerFor(operation, instance ? &*instance : nullptr);
}

}  // namespace allod::scheduling
