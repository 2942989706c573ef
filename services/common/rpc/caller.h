// Who makes an RPC. What it may call, access.h decides.
//
// The caller is stated in the metadata key `allod-caller`: "operator", "service:<name>", "node:<name>", "tenant:<tenant
// id>", or "tenant:<tenant id> project:<project id> key:<kid> scopes:<scope>,<scope> roles:<role>,<role>" for one of a
// tenant's API keys, which acts in its own project only, by its roles; a workload of the project has "rule:<rule id>"
// instead of "key:". "tenant:<tenant id> session:<uuid> roles:<role>,<role> projects:<project id>=<role>+<role>,..." is
// a person of the tenant, with the roles that hold at the tenant and those that hold at projects; "tenant:<tenant id>
// from:<tenant id> session:..." is one of a tenant above, with the roles that hold there, and none at projects. A role
// that a tenant made stands among them as "roles/<role id>", and what each of those permits once, at the end:
// " custom:<role id>=<permissions>;<role id>=<permissions>" (Permissions::ToText). An operator has the role of one, or
// those of "operator roles:<role>,<role>"; a tenant as a whole has that of its owner. It is believed because of the
// transport: services listen on Unix sockets only, which lie in directories closed to others and take connections of
// the installation's own users only (listener.h). Between hosts mutual TLS will be required; until then nothing else is
// listened on or connected to (unix_address.h).
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

// Roles that hold at one project.
struct ProjectRoles {
  std::string project;  // project id
  Rights roles;

  bool operator==(const ProjectRoles&) const = default;
};

struct Caller {
  // Of one person, in one call.
  static constexpr std::size_t kProjectsMax = 64;
  // Of what the custom roles of one caller permit, as text: a call's metadata has an end.
  static constexpr std::size_t kCustomBytesMax = 5120;
  static constexpr std::size_t kCustomRolesMax = 32;
  // Of all that is stated; servers take more (server.cc).
  static constexpr std::size_t kTextBytesMax = 16 << 10;

  enum class Kind { kOperator, kService, kNode, kTenant };
  Kind kind;
  std::string id;  // tenant id ("ke"), service or node name; empty for operators
  // What acts in one project: an API key or a workload, and a person whose roles hold there only. Empty for the tenant
  // as a whole.
  std::string project;              // project id ("services")
  std::vector<std::string> scopes;  // what the key may do, by the words of the service that issues keys
  std::string kid;                  // of the key; empty: it is no API key
  std::string rule = {};            // id of the workload rule by which a workload acts; empty: it is none
  Rights roles;                     // what operators and tenants may do; none for services and nodes
  std::string session = {};         // UUID of a person's session; empty: it is no person
  // Of a person, beside `roles`, which hold at the tenant; ordered by project, each once. Admit() (access.h) takes them
  // into account and away.
  std::vector<ProjectRoles> project_roles = {};
  // Of a person who acts below the tenant whose member he is: that tenant's id; empty: it is `id`.
  std::string home = {};

  // UNAUTHENTICATED / NO_CALLER when the metadata is missing or malformed.
  static Result<Caller> From(const grpc::ServerContextBase& context);
  static Caller Operator(Roles roles = {Role::ROLE_OPERATOR}) { return {Kind::kOperator, "", "", {}, "", "", roles}; }
  static Caller Service(std::string name) { return {Kind::kService, std::move(name), "", {}, "", "", {}}; }
  static Caller Node(std::string name) { return {Kind::kNode, std::move(name), "", {}, "", "", {}}; }
  static Caller Tenant(std::string id) { return {Kind::kTenant, std::move(id), "", {}, "", "", {Role::ROLE_OWNER}}; }
  static Caller Key(std::string tenant, std::string project, std::vector<std::string> scopes,
                    Rights roles = {Role::ROLE_ADMIN}, std::string kid = "") {
    return {Kind::kTenant,   std::move(tenant), std::move(project), std::move(scopes), std::move(kid), "",
            std::move(roles)};
  }
  // What acts in a project by a workload rule of it.
  static Caller Workload(std::string tenant, std::string project, std::string rule, std::vector<std::string> scopes,
                         Rights roles) {
    return {Kind::kTenant,   std::move(tenant), std::move(project), std::move(scopes), "",
            std::move(rule), std::move(roles)};
  }
  static Caller Person(std::string tenant, std::string session, Rights roles,
                       std::vector<ProjectRoles> project_roles = {}) {
    return {Kind::kTenant,      std::move(tenant),       "", {}, "", "", std::move(roles),
            std::move(session), std::move(project_roles)};
  }
  // The same person at a tenant below his: roles at projects hold at those only.
  static Caller Below(const Caller& person, std::string tenant) {
    Caller out = Person(std::move(tenant), person.session, person.roles);
    out.home = person.id;
    return out;
  }
  static Result<Caller> Parse(std::string_view text);
  std::string ToString() const;
  // Whether what it may do is little enough to be stated: PERMISSION_DENIED / TOO_MANY_PERMISSIONS.
  Status CheckStatable() const;
  // The same caller with as many of its custom roles as can be stated: whoever gives somebody more of them than that
  // takes nothing else from him. Those are left out first that the platform's roles cover where they hold, then those
  // that do not fit beside the others: of those at the tenant by id, then project by project.
  Caller Statable() const;
  // Whom the call is counted against, "tenant:ke" for every key and person of ke, wherever they act: what is shared out
  // among tenants is not shared out among these. Operators of one role are another than the operator.
  std::string Owner() const;
  // As it is remembered.
  Actor ToActor() const;
  void AttachTo(grpc::ClientContext& context) const;
  bool in_project() const { return !project.empty(); }
  bool is_person() const { return !session.empty(); }
  // Of a tenant's caller: id of the tenant that it is from, wherever it acts.
  const std::string& own_tenant() const { return home.empty() ? id : home; }
};

}  // namespace allod
