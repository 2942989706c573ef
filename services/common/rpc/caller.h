// Who makes an RPC. What it may call, access.h decides.
//
// The caller is stated in the metadata key `allod-caller`: "operator", "service:<name>", "node:<name>", "tenant:<tenant
// id>", or "tenant:<tenant id> project:<project id> key:<kid> scopes:<scope>,<scope> roles:<role>,<role>" for one of a
// tenant's API keys, which acts in its own project only, by its roles; a workload of the project has "rule:<rule id>"
// instead of "key:". An operator has the role of one, a tenant as a whole that
// of its owner. It is believed because of the transport: services listen on Unix sockets only, which lie in
// directories closed to others and take connections of the installation's own users only (listener.h). Between hosts
// mutual TLS will be required; until then nothing else is listened on or connected to (unix_address.h).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "services/common/actor.h"
#include "services/common/result.h"
#include "services/common/roles.h"

namespace grpc {
class ServerContextBase;
class ClientContext;
}  // namespace grpc

namespace allod {

struct Caller {
  enum class Kind { kOperator, kService, kNode, kTenant };
  Kind kind;
  std::string id;  // tenant id ("ke"), service or node name; empty for operators
  // Of an API key of the tenant; empty for the tenant as a whole, which no key is.
  std::string project;              // project id ("services")
  std::vector<std::string> scopes;  // what the key may do, by the words of the service that issues keys
  std::string kid;                  // of the key; empty: it is no API key
  std::string rule = {};            // id of the workload rule by which a workload acts; empty: it is none
  Roles roles;                      // what operators and tenants may do; none for services and nodes

  // UNAUTHENTICATED / NO_CALLER when the metadata is missing or malformed.
  static Result<Caller> From(const grpc::ServerContextBase& context);
  static Caller Operator() { return {Kind::kOperator, "", "", {}, "", "", {Role::ROLE_OPERATOR}}; }
  static Caller Service(std::string name) { return {Kind::kService, std::move(name), "", {}, "", "", {}}; }
  static Caller Node(std::string name) { return {Kind::kNode, std::move(name), "", {}, "", "", {}}; }
  static Caller Tenant(std::string id) { return {Kind::kTenant, std::move(id), "", {}, "", "", {Role::ROLE_OWNER}}; }
  static Caller Key(std::string tenant, std::string project, std::vector<std::string> scopes,
                    Roles roles = {Role::ROLE_ADMIN}, std::string kid = "") {
    return {Kind::kTenant, std::move(tenant), std::move(project), std::move(scopes), std::move(kid), "", roles};
  }
  // What acts in a project by a workload rule of it.
  static Caller Workload(std::string tenant, std::string project, std::string rule, std::vector<std::string> scopes,
                         Roles roles) {
    return {Kind::kTenant, std::move(tenant), std::move(project), std::move(scopes), "", std::move(rule), roles};
  }
  static Result<Caller> Parse(std::string_view text);
  std::string ToString() const;
  // Whom the call is counted against, "tenant:ke" for every key of ke: what is shared out among tenants is not shared
  // out among their keys.
  std::string Owner() const;
  // As it is remembered.
  Actor ToActor() const;
  void AttachTo(grpc::ClientContext& context) const;
  bool is_key() const { return !project.empty(); }
};

}  // namespace allod
