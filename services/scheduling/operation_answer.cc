#include "services/scheduling/operation_answer.h"

#include <google/protobuf/empty.pb.h>
#include <google/rpc/status.pb.h>

#include "services/common/rpc/status.h"
#include "services/scheduling/convert.h"

namespace allod::scheduling {

Result<google::longrunning::Operation> AnswerFor(const Operation& operation, Store& store) {
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
    const auto instance = store.GetInstance(operation.tenant, operation.instance_name);
    if (!instance && instance.error().code != Code::kNotFound) return std::unexpected(instance.error());
    const bool stands = instance && instance->id == operation.instance;
    out.mutable_response()->PackFrom(stands ? ToProto(*instance) : Remains(operation));
  }
  return out;
}

}  // namespace allod::scheduling
