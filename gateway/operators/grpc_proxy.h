// The operators' one gRPC address: passes every call on to the service that owns its package, byte for byte.
//
// Calls of `allod.<area>.v1` go to that area's service. `google.longrunning.Operations` is implemented by the services
// that own operations, and the operation's name (field 1 of each of its requests) tells which: `tenants/*/operations/*`
// is scheduling's, `operations/*` catalog's. Anything else fails with UNIMPLEMENTED. Metadata `allod-caller`, deadline,
// cancellation, status and its details pass through.
//
// Whoever can reach the address can act as operator: it listens on a Unix socket in a directory that only the
// installation's own user can enter. One that was made for a role states the operator with that role as the caller,
// whatever the client states, and so may be reached by a group. Thread-safe. At most one message of each direction of a
// call is held in memory.
#pragma once

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/generic/generic_stub.h>

#include <map>
#include <memory>
#include <string>

#include "services/common/rpc/caller.h"

namespace allod::gateway::operators {

struct ProxyTargets {
  std::string tenancy;
  std::string catalog;
  std::string billing;
  std::string scheduling;
};

class GrpcProxy final : public grpc::CallbackGenericService {
 public:
  explicit GrpcProxy(const ProxyTargets& targets);
  // Every call is `caller`'s.
  GrpcProxy(const ProxyTargets& targets, const Caller& caller) : GrpcProxy(targets) { caller_ = caller.ToString(); }
  grpc::ServerGenericBidiReactor* CreateReactor(grpc::GenericCallbackServerContext* context) override;

  // The area of a method such as "/allod.billing.v1.UsageService/Reserve"; "operations" for google.longrunning; empty
  // if there is none.
  static std::string AreaOf(const std::string& method);
  // The area that owns the operation which a serialised request names.
  static std::string OperationOwner(const grpc::ByteBuffer& request);

 private:
  std::map<std::string, std::unique_ptr<grpc::GenericStub>> stubs_;
  std::string caller_;  // empty: whom the client states
};

}  // namespace allod::gateway::operators
