// Who makes an RPC, and the questions a method asks about it.
//
// The caller is stated in the metadata key `allod-caller`: "operator", "service:<name>", "node:<name>" or
// "tenant:<tenant id>". It is believed because of the transport: on one host the sockets lie in a directory that only
// the installation's own user can enter; between hosts mutual TLS is required.
#pragma once

#include <string>
#include <string_view>

#include "services/common/result.h"

namespace grpc {
class ServerContextBase;
class ClientContext;
}  // namespace grpc

namespace allod {

struct Caller {
  enum class Kind { kOperator, kService, kNode, kTenant };
  Kind kind;
  std::string id;  // tenant id ("ke"), service or node name; empty for operators

  // UNAUTHENTICATED / NO_CALLER when the metadata is missing or malformed.
  static Result<Caller> From(const grpc::ServerContextBase& context);
  static Caller Operator() { return {Kind::kOperator, ""}; }
  static Caller Service(std::string name) { return {Kind::kService, std::move(name)}; }
  static Caller Node(std::string name) { return {Kind::kNode, std::move(name)}; }
  static Caller Tenant(std::string id) { return {Kind::kTenant, std::move(id)}; }
  static Result<Caller> Parse(std::string_view text);
  std::string ToString() const;
  void AttachTo(grpc::ClientContext& context) const;
};

// PERMISSION_DENIED / NOT_ALLOWED unless it holds; the message says who may.
Status RequireOperator(const Caller& caller);
// Operators and services.
Status RequirePlatform(const Caller& caller);
Status RequireService(const Caller& caller);
Status RequireNode(const Caller& caller);
// Operators, services, and the tenant that `resource_name` (`tenants/{tenant}/...`) belongs to. To another tenant the
// resource does not exist: NOT_FOUND, so that names cannot be probed.
Status RequireTenant(const Caller& caller, std::string_view resource_name);
// Anyone who has a caller: the marketplace is open to every tenant.
inline Status RequireAnyone(const Caller&) { return {}; }

}  // namespace allod
