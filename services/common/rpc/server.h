// A gRPC server with the platform's limits, health service, reflection and per-method metrics, and the wrapper that
// every RPC method is one call of.
#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "services/common/clock.h"
#include "services/common/log.h"
#include "services/common/metrics.h"
#include "services/common/rpc/call_gate.h"
#include "services/common/rpc/caller.h"
#include "services/common/rpc/listener.h"
#include "services/common/rpc/status.h"

namespace allod {

struct ServerConfig {
  // "unix:/path/x.sock" (unix_address.h says why nothing else); a stale socket file is replaced. Empty: serves adopted
  // connections only.
  std::string listen;
  // Users whose processes may connect beside this process's own and root; see listener.h.
  std::vector<uid_t> peer_uids = {};
  int threads_max = 256;  // one for each call that runs; further calls are refused. They end when they are idle.
  int message_bytes_max = 4 << 20;
  int streams_per_connection_max = 256;  // further calls of one client wait at the client
  // What is kept of a stream for a peer that does not read; 0: gRPC's own, 64 KiB.
  int write_buffer_bytes = 0;
};

class Server {
 public:
  // Starts to serve. `fallback` gets the calls of every method that `services` do not have. INVALID_ARGUMENT /
  // INVALID_ADDRESS or CANNOT_LISTEN.
  static Result<std::unique_ptr<Server>> Start(const ServerConfig& config, const std::vector<grpc::Service*>& services,
                                               grpc::CallbackGenericService* fallback = nullptr);
  ~Server();  // Stop(0)
  // No new calls; running ones may finish until `grace` is over, then they are cancelled. Streams see IsCancelled().
  void Stop(std::chrono::milliseconds grace);
  // Serves a connection that was accepted elsewhere, and closes it in the end: for processes that may not make sockets.
  void Adopt(OwnedFd connection);

 private:
  Server() = default;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<Listener> listener_;
};

// What the two wrappers below are made of.
Status CheckDeadline(const grpc::ServerContext& context);
Status RunCatching(const std::function<Status()>& fn);
grpc::Status FinishRpc(RpcObservation& observation, const Status& status);

// What `work` returns, run while the gate has a place for the caller; its refusal, or DEADLINE_EXCEEDED when the wait
// took until nobody waits for the answer any more.
template <typename Work>
auto InTurn(CallGate& gate, const grpc::ServerContext& context, const Caller& caller, Work work) -> decltype(work()) {
  ALLOD_TRY(const CallGate::Pass pass, gate.Enter(caller));
  ALLOD_CHECK_OK(CheckDeadline(context));
  return work();
}

// Runs one unary method: identity, deadline (refused with DEADLINE_EXCEEDED when under 20 ms are left), metrics, log of
// failures, exceptions, status mapping. `fn(caller, request)` does authorise, convert, call, convert:
//
//   grpc::Status GetTenant(grpc::ServerContext* ctx, const GetTenantRequest* req, Tenant* resp) override {
//     return Handle("tenancy.GetTenant", ctx, req, resp, [&](const Caller& caller) -> Result<Tenant> {
//       ALLOD_CHECK_OK(RequireTenant(caller, req->name()));
//       ...
//     });
//   }
template <typename Req, typename Resp, typename Fn>
grpc::Status Handle(const char* method, grpc::ServerContext* context, const Req* /*request*/, Resp* response, Fn&& fn) {
  RpcObservation observation(method);
  auto run = [&]() -> Status {
    ALLOD_TRY(const Caller caller, Caller::From(*context));
    ALLOD_CHECK_OK(CheckDeadline(*context));
    ALLOD_TRY(*response, fn(caller));
    return {};
  };
  return FinishRpc(observation, RunCatching(run));
}

// The same for a server-streaming method: `fn(caller) -> Status` writes to the stream itself.
template <typename Fn>
grpc::Status HandleStream(const char* method, grpc::ServerContext* context, Fn&& fn) {
  RpcObservation observation(method);
  auto run = [&]() -> Status {
    ALLOD_TRY(const Caller caller, Caller::From(*context));
    return fn(caller);
  };
  return FinishRpc(observation, RunCatching(run));
}

}  // namespace allod
