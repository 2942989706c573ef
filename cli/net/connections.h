// Calls from the command line to the services.
#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cli/net/services.h"
#include "services/common/rpc/client.h"

namespace allod::cli::net {

constexpr std::chrono::seconds kRpcTimeout{15};

// The process that owns a service's package: "tenancy" of "allod.tenancy.v1.ProjectService".
std::string ProcessOf(std::string_view full_service_name);

template <typename Service>
std::unique_ptr<typename Service::Stub> Connect(const Services& services, const std::string& process) {
  return Service::NewStub(services.ChannelTo(process));
}
template <typename Service>
std::unique_ptr<typename Service::Stub> Connect(const Services& services) {
  return Connect<Service>(services, ProcessOf(Service::service_full_name()));
}

// One unary call. It states the operator, whom services at their sockets believe; a gateway goes by the session alone.
template <typename Stub, typename Req, typename Resp>
Result<Resp> Ask(Stub& stub, grpc::Status (Stub::*method)(grpc::ClientContext*, const Req&, Resp*), const Req& request,
                 std::chrono::milliseconds timeout = kRpcTimeout) {
  return CallUnary<Stub, Req, Resp>(stub, method, request, Caller::Operator(), timeout);
}
// The same where it is the only one to its service.
template <typename Service, typename Req, typename Resp>
Result<Resp> Ask(const Services& services,
                 grpc::Status (Service::Stub::*method)(grpc::ClientContext*, const Req&, Resp*), const Req& request,
                 std::chrono::milliseconds timeout = kRpcTimeout) {
  return Ask(*Connect<Service>(services), method, request, timeout);
}

// Whether all of these processes take connections.
bool AreListening(const installation::StateDir& state, const std::vector<std::string>& processes);

}  // namespace allod::cli::net
