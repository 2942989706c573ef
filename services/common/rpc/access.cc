#include "services/common/rpc/access.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "services/common/ids.h"

namespace allod {
namespace {

using access::v1::Access;

constexpr char kTheTenant[] = "an operator, a service or the tenant itself";

std::unexpected<Error> NotAllowed(std::string_view who_may) {
  return Fail(Code::kPermissionDenied, "NOT_ALLOWED", fmt::format("only {} may do this", who_may));
}

Status Require(bool is_admitted, std::string_view who_may) {
  if (is_admitted) return {};
  return NotAllowed(who_may);
}

// A node speaks for itself only.
Status CheckNode(const Access& rule, const Caller& caller, std::string_view resource) {
  if (caller.kind != Caller::Kind::kNode) return NotAllowed("a node");
  if (rule.resource().empty()) return {};
  ALLOD_TRY(const auto named, MatchName(rule.resource(), resource, "nodes/*"));
  if (named[0] == caller.id) return {};
  return Fail(Code::kPermissionDenied, "NOT_ALLOWED",
              fmt::format("{} may not speak for nodes/{}", caller.ToString(), named[0]));
}

Status CheckMember(const Caller& caller, std::string_view resource) {
  switch (caller.kind) {
    case Caller::Kind::kOperator:
    case Caller::Kind::kService:
      return {};
    case Caller::Kind::kNode:
      return NotAllowed(kTheTenant);
    case Caller::Kind::kTenant:
      if (TenantOf(resource) == "tenants/" + caller.id) return {};
      return NoSuchResource();
  }
  return NotAllowed(kTheTenant);
}

Status CheckTenant(const Access& rule, const Caller& caller, std::string_view resource) {
  ALLOD_CHECK_OK(CheckMember(caller, resource));
  if (!caller.in_project()) return {};
  const bool is_own = MaySee(caller, resource);
  if (is_own && !rule.whole_tenant()) return {};
  if (rule.across_projects() && resource == TenantOf(resource) + "/projects/-") return {};
  if (!is_own && !ProjectIdOf(resource).empty()) return NoSuchResource();
  return Fail(Code::kPermissionDenied, "PROJECT_KEY",
              fmt::format("this is the tenant's as a whole, and {} projects/{}; ask {}",
                          caller.is_person() ? "your roles hold at" : "the API key is of", caller.project,
                          caller.is_person() ? "an owner of the tenant" : "an operator"));
}

// Whoever is from elsewhere is from above.
Status CheckAbove(const Caller& caller, std::string_view resource) {
  const bool is_tenant = caller.kind == Caller::Kind::kTenant;
  if (is_tenant && TenantOf(resource) != "tenants/" + caller.id) return NoSuchResource();
  return Require(caller.kind == Caller::Kind::kOperator || (is_tenant && !caller.home.empty()),
                 "an operator, or somebody with a role at a tenant above this one,");
}

// What kind of caller the rule admits, and to whose things.
Status CheckCaller(const Access& rule, const Caller& caller, std::string_view resource) {
  const bool is_operator = caller.kind == Caller::Kind::kOperator;
  const bool is_platform = is_operator || caller.kind == Caller::Kind::kService;
  const bool is_node = caller.kind == Caller::Kind::kNode;
  switch (rule.who()) {
    case access::v1::WHO_ANYONE:
      return {};
    case access::v1::WHO_OPERATOR:
      return Require(is_operator, "an operator");
    case access::v1::WHO_SERVICE:
      return Require(is_platform && !is_operator, "a service of the platform");
    case access::v1::WHO_NODE:
      return CheckNode(rule, caller, resource);
    case access::v1::WHO_PLATFORM:
      return Require(is_platform, "an operator or a service of the platform");
    case access::v1::WHO_OPERATOR_OR_NODE:
      return Require(is_operator || is_node, "an operator");
    case access::v1::WHO_PLATFORM_OR_NODE:
      return Require(is_platform || is_node, "an operator or a service of the platform");
    case access::v1::WHO_TENANT:
      return CheckTenant(rule, caller, resource);
    case access::v1::WHO_MEMBER:
      return CheckMember(caller, resource);
    case access::v1::WHO_ABOVE:
      return CheckAbove(caller, resource);
    case access::v1::WHO_PLATFORM_OR_TENANT:
      return Require(!is_node, kTheTenant);
    default:
      return NotAllowed("nobody");
  }
}

// Of the roles that permit a method those that such a caller can be given: no tenant has an operator's, nor the other
// way round.
Roles ForSuch(const Caller& caller, Roles roles) {
  Roles out;
  for (const Role role : roles.List()) {
    if (kRolesOfOperators.Has(role) == (caller.kind == Caller::Kind::kOperator)) out.Add(role);
  }
  return out;
}

// Operators and tenants are people, or act for them: what they may do their roles say.
Status CheckRoles(const Method& method, const Caller& caller) {
  if (caller.kind == Caller::Kind::kService || caller.kind == Caller::Kind::kNode) return {};
  if (caller.roles.Permit(method.roles, method.permission)) return {};
  return Fail(
      Code::kPermissionDenied, "PERMISSION_MISSING",
      fmt::format("this needs the permission {}, which your {} not have; it is part of: {}", method.access.permission(),
                  caller.roles.empty() ? "credential, being without a role, does"
                                       : fmt::format("roles ({}) do", caller.roles.ToString()),
                  ForSuch(caller, method.roles).ToString()));
}

// A person in the project that it asks about.
Result<Caller> AtProject(const Method& method, Caller person, const std::string& project) {
  const auto at = std::ranges::find(person.project_roles, project, &ProjectRoles::project);
  const Rights there = at == person.project_roles.end() ? Rights() : at->roles;
  if (there.empty() && person.roles.empty()) return NoSuchResource();
  if (!person.roles.Permit(method.roles, method.permission)) person.project = project;
  person.roles.Add(there);
  return person;
}

// A person who asks about what is in no one project.
Result<Caller> AtTenant(const Method& method, Caller person) {
  if (person.roles.Permit(method.roles, method.permission)) return person;
  std::vector<std::string> projects;
  Rights anywhere, at_first;
  for (const auto& [project, roles] : person.project_roles) {
    anywhere.Add(roles);
    if (!roles.Permit(method.roles, method.permission)) continue;
    if (projects.empty()) at_first = roles;
    projects.push_back(project);
  }
  if (projects.empty()) {
    // None would do: CheckRoles() says what is missing.
    person.roles.Add(anywhere);
    return person;
  }
  // What shows nothing of a tenant is the same whichever it is.
  const bool is_of_a_tenant =
      method.access.who() == access::v1::WHO_TENANT || method.access.who() == access::v1::WHO_MEMBER;
  if (projects.size() > 1 && is_of_a_tenant) {
    return Fail(Code::kPermissionDenied, "PROJECT_NEEDED",
                fmt::format("your roles for this hold at the projects {}: ask for one of them, or name it in the "
                            "header x-allod-project",
                            fmt::join(projects, ", ")));
  }
  person.project = projects.front();
  person.roles.Add(at_first);
  return person;
}

}  // namespace

Result<Caller> Admit(const Method& method, Caller caller, std::string_view resource) {
  const bool is_own = resource.empty() || TenantOf(resource) == "tenants/" + caller.id;
  if (caller.is_person() && is_own) {
    const std::string project = ProjectIdOf(resource);
    const bool is_one = !project.empty() && project != "-";
    ALLOD_TRY(caller, is_one ? AtProject(method, std::move(caller), project) : AtTenant(method, std::move(caller)));
    if (caller.in_project()) caller.scopes = {"inference", "portal"};
  }
  caller.project_roles.clear();
  ALLOD_CHECK_OK(CheckAccess(method, caller, resource));
  return caller;
}

std::unexpected<Error> NoSuchResource() { return NotFound("there is no such resource"); }

Status CheckAccess(const Method& method, const Caller& caller, std::string_view resource) {
  ALLOD_CHECK_OK(CheckCaller(method.access, caller, resource));
  return CheckRoles(method, caller);
}

bool MaySee(const Caller& caller, std::string_view resource_name) {
  return !caller.in_project() || ProjectIdOf(resource_name) == caller.project;
}

}  // namespace allod
