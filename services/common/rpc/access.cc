#include "services/common/rpc/access.h"

#include <fmt/format.h>

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
  if (!caller.is_key() || MaySee(caller, resource)) return {};
  if (rule.across_projects() && resource == TenantOf(resource) + "/projects/-") return {};
  if (!ProjectIdOf(resource).empty()) return NoSuchResource();
  return Fail(Code::kPermissionDenied, "PROJECT_KEY",
              fmt::format("this belongs to the tenant as a whole, and the API key to projects/{}; ask an operator",
                          caller.project));
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
    default:
      return NotAllowed("nobody");
  }
}

// Operators and tenants are people, or act for them: what they may do their roles say.
Status CheckRoles(const Method& method, const Caller& caller) {
  if (caller.kind == Caller::Kind::kService || caller.kind == Caller::Kind::kNode) return {};
  if (caller.roles.HasAnyOf(method.roles)) return {};
  return Fail(
      Code::kPermissionDenied, "PERMISSION_MISSING",
      fmt::format("this needs the permission {}, which your {} not have; it is part of: {}", method.access.permission(),
                  caller.roles.empty() ? "credential, being without a role, does"
                                       : fmt::format("roles ({}) do", caller.roles.ToString()),
                  method.roles.ToString()));
}

}  // namespace

std::unexpected<Error> NoSuchResource() { return NotFound("there is no such resource"); }

Status CheckAccess(const Method& method, const Caller& caller, std::string_view resource) {
  ALLOD_CHECK_OK(CheckCaller(method.access, caller, resource));
  return CheckRoles(method, caller);
}

bool MaySee(const Caller& caller, std::string_view resource_name) {
  return !caller.is_key() || ProjectIdOf(resource_name) == caller.project;
}

}  // namespace allod
