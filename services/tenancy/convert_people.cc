#include "services/tenancy/convert_people.h"

#include <fmt/format.h>

#include "services/common/rpc/timestamp.h"
#include "services/tenancy/convert_identity.h"
#include "services/tenancy/convert_roles.h"

namespace allod::tenancy {
namespace {

std::string TenantName(const std::string& tenant) { return "tenants/" + tenant; }

std::string PlaceName(const Member& member, const RoleGrant& grant) {
  if (grant.project.empty()) return TenantName(member.tenant);
  return fmt::format("tenants/{}/projects/{}", member.tenant, grant.project);
}

Result<RoleGrant> ReadGrant(const std::string& field, const v1::RoleGrant& from, const std::string& tenant) {
  RoleGrant out;
  if (from.resource() != TenantName(tenant)) {
    const auto parts = MatchName(field + ".resource", from.resource(), "tenants/*/projects/*");
    if (!parts || (*parts)[0] != tenant) {
      return InvalidArgument(
          "INVALID_GRANT", fmt::format("{}.resource: '{}' is no place of this tenant; write {} or {}/projects/PROJECT",
                                       field, from.resource(), TenantName(tenant), TenantName(tenant)));
    }
    out.project = (*parts)[1];
  }
  for (const int role : from.roles()) {
    if (WordOfRole(static_cast<Role>(role)).empty()) {
      return InvalidArgument("INVALID_ROLE", fmt::format("{}.roles: {} is no role; use one of: owner,{}", field, role,
                                                         kRolesOfKeys.ToString()));
    }
    out.roles.Add(static_cast<Role>(role));
  }
  ALLOD_TRY(out.custom_roles, RoleIdsOf(field + ".custom_roles", from.custom_roles(), tenant));
  return out;
}

Status ReadMemberFields(const v1::Member& from, Member& to) {
  to.display_name = from.display_name();
  ALLOD_TRY(to.provider, ProviderIdOf("member.identity_provider", from.identity_provider(), to.tenant));
  ALLOD_TRY(to.claims, ClaimsFrom("member.claims", from.claims()));
  for (int i = 0; i < from.grants_size(); ++i) {
    ALLOD_TRY(RoleGrant grant, ReadGrant(fmt::format("member.grants[{}]", i), from.grants(i), to.tenant));
    to.grants.push_back(std::move(grant));
  }
  to.disabled = from.disabled();
  return {};
}

}  // namespace

Result<MemberName> MemberNameOf(std::string_view field, std::string_view name) {
  ALLOD_TRY(const auto parts, MatchName(field, name, "tenants/*/members/*"));
  return MemberName{parts[0], parts[1]};
}

Result<Member> MemberFromRequest(const v1::CreateMemberRequest& request, Time now) {
  ALLOD_TRY(const auto parts, MatchName("parent", request.parent(), "tenants/*"));
  Member out{.tenant = parts[0], .id = request.member_id(), .uid = Uuid::V7(now)};
  ALLOD_CHECK_OK(ReadMemberFields(request.member(), out));
  out.create_time = FloorToMicros(now);
  return out;
}

Result<Member> MemberFromRequest(const v1::UpdateMemberRequest& request) {
  ALLOD_TRY(const MemberName name, MemberNameOf("member.name", request.member().name()));
  Member out{.tenant = name.tenant, .id = name.id};
  ALLOD_CHECK_OK(ReadMemberFields(request.member(), out));
  return out;
}

Result<Uuid> SessionIdOf(std::string_view field, std::string_view name, const std::string& tenant) {
  ALLOD_TRY(const auto parts, MatchName(field, name, "tenants/*/sessions/*"));
  const auto id = Uuid::Parse(parts[1]);
  if (parts[0] == tenant && id) return *id;
  return InvalidArgument("INVALID_NAME", fmt::format("{}: '{}' is no session of {}: they are named {}/sessions/UUID",
                                                     field, name, TenantName(tenant), TenantName(tenant)));
}

Result<Person> PersonFrom(std::string_view provider, std::string_view subject, const std::string& tenant) {
  Person out{.subject = std::string(subject)};
  ALLOD_TRY(out.provider, ProviderIdOf("identity_provider", provider, tenant));
  ALLOD_CHECK_OK(CheckSubject("subject", subject));
  return out;
}

Result<std::optional<Person>> PersonOf(const v1::ListSessionsRequest& request, const std::string& tenant) {
  if (request.identity_provider().empty() && request.subject().empty()) return std::optional<Person>();
  ALLOD_TRY(Person person, PersonFrom(request.identity_provider(), request.subject(), tenant));
  return std::optional<Person>(std::move(person));
}

Result<Session> SessionFromRequest(const v1::BeginSessionRequest& request, Time now) {
  ALLOD_TRY(const auto parts, MatchName("parent", request.parent(), "tenants/*"));
  const v1::Session& from = request.session();
  Session out{.tenant = parts[0], .id = Uuid::V7(now)};
  ALLOD_TRY(out.person.provider, ProviderIdOf("session.identity_provider", from.identity_provider(), out.tenant));
  out.person.subject = from.subject();
  out.display_name = from.display_name();
  for (const std::string& member : from.members()) {
    ALLOD_TRY(const MemberName name, MemberNameOf("session.members", member));
    if (name.tenant != out.tenant) {
      return InvalidArgument("INVALID_NAME", fmt::format("session.members: {} is another tenant's", member));
    }
    out.members.push_back(name.id);
  }
  switch (from.client()) {
    case v1::Session::CLIENT_BROWSER:
      out.client = SessionClient::kBrowser;
      break;
    case v1::Session::CLIENT_COMMAND_LINE:
      out.client = SessionClient::kCommandLine;
      break;
    default:
      return InvalidArgument("INVALID_CLIENT", fmt::format("session.client: {} is no client; use CLIENT_BROWSER or "
                                                           "CLIENT_COMMAND_LINE",
                                                           static_cast<int>(from.client())));
  }
  out.client_address = from.client_address();
  out.user_agent = from.user_agent();
  out.create_time = FloorToMicros(now);
  ALLOD_TRY(out.expire_time, TimeFrom("session.expire_time", from.expire_time()));
  return ValidSession(std::move(out));
}

v1::Member ToProto(const Member& member) {
  v1::Member out;
  out.set_name(member.name());
  out.set_uid(member.uid.ToString());
  out.set_display_name(member.display_name);
  out.set_identity_provider(fmt::format("tenants/{}/identityProviders/{}", member.tenant, member.provider));
  for (const ClaimMatch& match : member.claims) *out.add_claims() = ToProto(match);
  for (const RoleGrant& grant : member.grants) {
    v1::RoleGrant& added = *out.add_grants();
    added.set_resource(PlaceName(member, grant));
    for (const Role role : grant.roles.List()) added.add_roles(role);
    for (const std::string& id : grant.custom_roles) added.add_custom_roles(FullRoleName(member.tenant, id));
  }
  out.set_disabled(member.disabled);
  *out.mutable_create_time() = ToTimestamp(member.create_time);
  out.set_etag(EtagOf(member));
  return out;
}

v1::Session ToProto(const Session& session) {
  v1::Session out;
  out.set_name(session.name());
  out.set_identity_provider(fmt::format("tenants/{}/identityProviders/{}", session.tenant, session.person.provider));
  out.set_subject(session.person.subject);
  out.set_display_name(session.display_name);
  for (const std::string& id : session.members)
    out.add_members(fmt::format("tenants/{}/members/{}", session.tenant, id));
  out.set_client(session.client == SessionClient::kBrowser ? v1::Session::CLIENT_BROWSER
                                                           : v1::Session::CLIENT_COMMAND_LINE);
  out.set_client_address(session.client_address);
  out.set_user_agent(session.user_agent);
  *out.mutable_create_time() = ToTimestamp(session.create_time);
  *out.mutable_expire_time() = ToTimestamp(session.expire_time);
  if (session.end_time) *out.mutable_end_time() = ToTimestamp(*session.end_time);
  return out;
}

}  // namespace allod::tenancy
