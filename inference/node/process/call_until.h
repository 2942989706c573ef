// A call that ends early when a stop is requested.
#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <stop_token>

#include "services/common/rpc/client.h"

namespace allod::inference::node::process {

// allod::Call, cancelled by `stop`.
template <typename Stub, typename Req, typename Resp>
Result<Resp> CallUntil(const std::stop_token& stop, Stub& stub,
                       grpc::Status (Stub::*method)(grpc::ClientContext*, const Req&, Resp*), const Req& request,
                       const Caller& caller, std::chrono::milliseconds timeout) {
  Resp response;
  const auto context = MakeContext(caller, timeout);
  const std::stop_callback cancel(stop, [&] { context->TryCancel(); });
  const grpc::Status status = (stub.*method)(context.get(), request, &response);
  if (!status.ok()) return std::unexpected(FromGrpc(status));
  return response;
}

}  // namespace allod::inference::node::process
