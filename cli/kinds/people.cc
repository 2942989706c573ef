// Members, and the sessions of people who have signed in.

#include <algorithm>
#include <cctype>

#include "allod/tenancy/v1/member.grpc.pb.h"
#include "allod/tenancy/v1/session.grpc.pb.h"
#include "cli/kinds/calls.h"
#include "services/common/ids.h"

namespace allod::cli::kinds {
namespace {

namespace tenancy_v1 = allod::tenancy::v1;
using google::protobuf::Message;
using net::Services;

// Refused when it is no longer what `current` shows.
tenancy_v1::UpdateMemberRequest MemberUpdateOf(const Message& current, const Message& wanted) {
  tenancy_v1::UpdateMemberRequest request;
  *request.mutable_member() = dynamic_cast<const tenancy_v1::Member&>(wanted);
  request.mutable_member()->set_etag(dynamic_cast<const tenancy_v1::Member&>(current).etag());
  return request;
}

// "email = achieng@ke.example, groups contains desk".
std::string WhoOf(const Message& message) {
  std::string out;
  for (const auto& claim : dynamic_cast<const tenancy_v1::Member&>(message).claims()) {
    const std::string what = claim.has_equals()   ? "= " + claim.equals()
                             : claim.has_prefix() ? "begins with " + claim.prefix()
                                                  : "contains " + claim.contains();
    out += (out.empty() ? "" : ", ") + claim.claim() + " " + what;
  }
  return out;
}

// "owner; developer,desk-clerk at services".
std::string RolesOf(const Message& message) {
  std::string out;
  for (const auto& grant : dynamic_cast<const tenancy_v1::Member&>(message).grants()) {
    std::string roles = terminal::FieldText(grant, "roles");
    std::ranges::transform(roles, roles.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    for (const std::string& custom : grant.custom_roles()) roles += (roles.empty() ? "" : ",") + LastSegment(custom);
    const std::string project = ProjectIdOf(grant.resource());
    out += (out.empty() ? "" : "; ") + roles + (project.empty() ? "" : " at " + project);
  }
  return out;
}

std::string ProviderOf(const Message& message) {
  return LastSegment(dynamic_cast<const tenancy_v1::Member&>(message).identity_provider());
}

ResourceKind MemberKind() {
  using Service = tenancy_v1::MemberService;
  return {.kind = "Member",
          .plural = "members",
          .pattern = "tenants/*/members/*",
          .parent_pattern = "tenants/*",
          .columns = {{"NAME", "name"},
                      {"DISPLAY NAME", "display_name"},
                      {"WHO", "claims", &WhoOf},
                      {"ROLES", "grants", &RolesOf},
                      {"BY", "identity_provider", &ProviderOf},
                      {"DISABLED", "disabled"}},
          .prototype = &tenancy_v1::Member::default_instance(),
          .spec_fields = {"display_name", "identity_provider", "claims", "grants", "disabled"},
          .get = Getter<Service>(&Service::Stub::GetMember),
          .list = Lister<Service>(&Service::Stub::ListMembers),
          .create = [](const Services& services, const Message& wanted, const Attempt& attempt) -> Result<net::Change> {
            tenancy_v1::CreateMemberRequest request;
            *request.mutable_member() = dynamic_cast<const tenancy_v1::Member&>(wanted);
            request.set_parent(ParentOf(request.member().name()));
            request.set_member_id(LastSegment(request.member().name()));
            Mark(request, attempt);
            return Done(net::Ask<Service>(services, &Service::Stub::CreateMember, request));
          },
          .missing = [](const Message& wanted, const Error& error) -> std::vector<std::string> {
            const auto& member = dynamic_cast<const tenancy_v1::Member&>(wanted);
            std::vector<std::string> names = {ParentOf(member.name()), member.identity_provider()};
            for (const auto& grant : member.grants()) {
              names.push_back(grant.resource());
              names.insert(names.end(), grant.custom_roles().begin(), grant.custom_roles().end());
            }
            return IfNotFound(error, std::move(names));
          },
          .preview = [](const Services& services, const Message& current,
                        const Message& wanted) -> Result<terminal::MessagePtr> {
            auto request = MemberUpdateOf(current, wanted);
            request.set_validate_only(true);
            return Own(net::Ask<Service>(services, &Service::Stub::UpdateMember, request));
          },
          .update = [](const Services& services, const Message& current, const Message& wanted,
                       const std::string& request_id) -> Result<net::Change> {
            auto request = MemberUpdateOf(current, wanted);
            request.set_request_id(request_id);
            return Done(net::Ask<Service>(services, &Service::Stub::UpdateMember, request));
          },
          .remove = [](const Services& services, const std::string& name,
                       const std::string& request_id) -> Result<net::Change> {
            tenancy_v1::DeleteMemberRequest request;
            request.set_name(name);
            request.set_request_id(request_id);
            return Done(net::Ask<Service>(services, &Service::Stub::DeleteMember, request));
          }};
}

// No manifest makes one: they are begun by signing in. To delete one is to end it.
ResourceKind SessionKind() {
  using Service = tenancy_v1::SessionService;
  return {.kind = "Session",
          .plural = "sessions",
          .pattern = "tenants/*/sessions/*",
          .parent_pattern = "tenants/*",
          .columns = {{"NAME", "name"},
                      {"PERSON", "display_name"},
                      {"SUBJECT", "subject"},
                      {"IDENTITY PROVIDER", "identity_provider"},
                      {"CLIENT", "client"},
                      {"ADDRESS", "client_address"},
                      {"EXPIRES", "expire_time"}},
          .prototype = &tenancy_v1::Session::default_instance(),
          .list = Lister<Service>(&Service::Stub::ListSessions),
          .remove = [](const Services& services, const std::string& name, const std::string&) -> Result<net::Change> {
            tenancy_v1::EndSessionsRequest request;
            request.set_parent(ParentOf(name));
            request.set_session(name);
            return Done(net::Ask<Service>(services, &Service::Stub::EndSessions, request));
          }};
}

}  // namespace

std::vector<ResourceKind> PeopleKinds() { return {MemberKind(), SessionKind()}; }

}  // namespace allod::cli::kinds
