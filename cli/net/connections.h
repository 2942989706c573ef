// Channels from the command line to the services of an installation. Whoever can enter its run/ directory is its
// operator.
#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <memory>
#include <string>

#include "cli/commands/commands.h"
#include "cli/installation/state_dir.h"
#include "services/common/rpc/client.h"

namespace allod::cli {

constexpr std::chrono::seconds kRpcTimeout{15};

// FAILED_PRECONDITION / NOT_UP when the installation is not running.
Result<StateDir> RunningState(const Globals& globals);

template <typename Service>
std::unique_ptr<typename Service::Stub> Connect(const StateDir& state, const std::string& service) {
  return Service::NewStub(MakeChannel(state.target(service)));
}

// One unary call as the operator.
template <typename Stub, typename Req, typename Resp>
Result<Resp> Ask(Stub& stub, grpc::Status (Stub::*method)(grpc::ClientContext*, const Req&, Resp*), const Req& request,
                 std::chrono::milliseconds timeout = kRpcTimeout) {
  return Call<Stub, Req, Resp>(stub, method, request, Caller::Operator(), timeout);
}

// Whether all gRPC services say SERVING.
bool ServicesReady(const StateDir& state);

}  // namespace allod::cli
