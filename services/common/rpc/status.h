// The one mapping between Error and grpc::Status, both ways, exhaustive. The reason and the retry-after travel as
// google.rpc.ErrorInfo (domain "allod") and google.rpc.RetryInfo in the status details (AIP-193).
#pragma once

#include <grpcpp/support/status.h>

#include "services/common/result.h"

namespace google::rpc {
class Status;
}

namespace allod {

grpc::Status ToGrpc(const Error& error);
// `status` must not be OK. An unknown status (from a broken connection, say) keeps its code and gets the reason
// RPC_FAILED.
Error FromGrpc(const grpc::Status& status);

// The same as a message, for operations and jobs.
google::rpc::Status ToRpcStatus(const Error& error);
Error FromRpcStatus(const google::rpc::Status& status);

// OK -> value, else the Error.
template <typename T>
Result<T> ToResult(const grpc::Status& status, T value) {
  if (status.ok()) return value;
  return std::unexpected(FromGrpc(status));
}

}  // namespace allod
