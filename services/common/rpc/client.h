// Channels and calls to the other services: keepalive, reconnect within a second, a deadline on every call.
#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <memory>
#include <string>

#include "services/common/call_scope.h"
#include "services/common/rpc/caller.h"
#include "services/common/rpc/status.h"
#include "services/common/trace.h"

namespace allod {

// Lazily connecting; services start in any order. Messages up to 4 MiB.
std::shared_ptr<grpc::Channel> MakeChannel(const std::string& target);
// With limits and a way to connect of one's own. Whatever they are, it neither uses a proxy nor shares a connection
// with another channel.
std::shared_ptr<grpc::Channel> MakeChannel(const std::string& target, const grpc::ChannelArguments& arguments);

// A context with the caller's identity, a deadline and a trace. What is called for the sake of the thread's own call
// (call_scope.h) gets what that one's deadline leaves of `timeout`, and its trace. `trace` may be null: the peer begins
// one. A peer that is not there gives UNAVAILABLE at once.
std::unique_ptr<grpc::ClientContext> MakeContext(const Caller& caller, std::chrono::milliseconds timeout,
                                                 const Trace* trace = CurrentTrace());
// For long streams: no deadline, does not wait for the channel.
std::unique_ptr<grpc::ClientContext> MakeStreamContext(const Caller& caller, const Trace* trace = CurrentTrace());

// Bounds the wait for a peer that is just being started again: true, after a short pause, when `status` says that no
// connection could be made, so that the request was never sent, and time is left to try again.
class ConnectPatience {
 public:
  explicit ConnectPatience(std::chrono::milliseconds timeout);
  bool TryAgain(const grpc::Status& status) const;
  std::chrono::milliseconds Left() const;  // of the call's own deadline

 private:
  std::chrono::steady_clock::time_point deadline_;
  std::chrono::steady_clock::time_point patience_ends_;
};

// One unary call: CallUnary(*stub, &TenantService::Stub::GetTenant, request, caller, 2s) -> Result<Tenant>. UNAVAILABLE
// / RPC_FAILED when the peer cannot be reached within a second. Deadline and trace as MakeContext() has them.
template <typename Stub, typename Req, typename Resp>
Result<Resp> CallUnary(Stub& stub, grpc::Status (Stub::*method)(grpc::ClientContext*, const Req&, Resp*),
                       const Req& request, const Caller& caller, std::chrono::milliseconds timeout) {
  const ConnectPatience patience(CurrentDeadline().Bound(timeout));
  while (true) {
    Resp response;
    const auto context = MakeContext(caller, patience.Left());
    const grpc::Status status = (stub.*method)(context.get(), request, &response);
    if (status.ok()) return response;
    if (!patience.TryAgain(status)) return std::unexpected(FromGrpc(status));
  }
}

}  // namespace allod
