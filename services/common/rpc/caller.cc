#include "services/common/rpc/caller.h"

#include <fmt/format.h>
#include <grpcpp/client_context.h>
#include <grpcpp/server_context.h>

#include "services/common/ids.h"

namespace allod {
namespace {

constexpr char kMetadataKey[] = "allod-caller";

std::unexpected<Error> NoCaller(std::string_view why) {
  return Fail(
      Code::kUnauthenticated, "NO_CALLER",
      fmt::format("{}; state the metadata {} as operator, service:NAME, node:NAME or tenant:ID", why, kMetadataKey));
}

std::unexpected<Error> NotAllowed(std::string_view who_may) {
  return Fail(Code::kPermissionDenied, "NOT_ALLOWED", fmt::format("only {} may do this", who_may));
}

}  // namespace

Result<Caller> Caller::Parse(std::string_view text) {
  if (text == "operator") return Operator();
  const std::size_t colon = text.find(':');
  const std::string_view kind = text.substr(0, colon);
  const std::string_view id = colon == std::string_view::npos ? "" : text.substr(colon + 1);
  if (!CheckId("caller", id)) return NoCaller("the caller is malformed");
  if (kind == "service") return Service(std::string(id));
  if (kind == "node") return Node(std::string(id));
  if (kind == "tenant") return Tenant(std::string(id));
  return NoCaller("the caller is malformed");
}

Result<Caller> Caller::From(const grpc::ServerContextBase& context) {
  const auto range = context.client_metadata().equal_range(kMetadataKey);
  if (range.first == range.second) return NoCaller("the call names no caller");
  if (std::next(range.first) != range.second) return NoCaller("the call names more than one caller");
  return Parse(std::string_view(range.first->second.data(), range.first->second.size()));
}

std::string Caller::ToString() const {
  switch (kind) {
    case Kind::kOperator:
      return "operator";
    case Kind::kService:
      return "service:" + id;
    case Kind::kNode:
      return "node:" + id;
    case Kind::kTenant:
      return "tenant:" + id;
  }
  return "";
}

void Caller::AttachTo(grpc::ClientContext& context) const { context.AddMetadata(kMetadataKey, ToString()); }

Status RequireOperator(const Caller& caller) {
  if (caller.kind == Caller::Kind::kOperator) return {};
  return NotAllowed("an operator");
}

Status RequirePlatform(const Caller& caller) {
  if (caller.kind == Caller::Kind::kOperator || caller.kind == Caller::Kind::kService) return {};
  return NotAllowed("an operator or a service of the platform");
}

Status RequireService(const Caller& caller) {
  if (caller.kind == Caller::Kind::kService) return {};
  return NotAllowed("a service of the platform");
}

Status RequireNode(const Caller& caller) {
  if (caller.kind == Caller::Kind::kNode) return {};
  return NotAllowed("a node");
}

Status RequireTenant(const Caller& caller, std::string_view resource_name) {
  switch (caller.kind) {
    case Caller::Kind::kOperator:
    case Caller::Kind::kService:
      return {};
    case Caller::Kind::kNode:
      return NotAllowed("an operator, a service or the tenant itself");
    case Caller::Kind::kTenant:
      if (TenantOf(resource_name) == "tenants/" + caller.id) return {};
      return NotFound("there is no such resource");
  }
  return NotAllowed("an operator, a service or the tenant itself");
}

}  // namespace allod
