#include "services/tenancy/member_service.h"

#include "services/common/rpc/request_id.h"
#include "services/common/rpc/server.h"
#include "services/tenancy/convert_people.h"
#include "services/tenancy/maker.h"

namespace allod::tenancy {

Result<Member> MemberServiceImpl::Check(Member member, const Caller& caller) {
  ALLOD_TRY(const IdentityProvider provider, identities_.GetProvider(member.tenant, member.provider));
  ALLOD_TRY(const auto roles, identities_.ReadRoles(member.tenant));
  return ValidMember(std::move(member), provider.issuer, HeldBy(caller).roles, StandingRoles(roles));
}

Result<People> MemberServiceImpl::PeopleOf(const Member& wanted) {
  for (const RoleGrant& grant : wanted.grants) {
    if (!grant.project.empty()) ALLOD_CHECK_OK(tenants_.GetProject(wanted.tenant, grant.project));
  }
  ALLOD_TRY(TenantIdentity all, identities_.ReadIdentity(wanted.tenant, clock_.Now()));
  return People{std::move(all.providers), std::move(all.members), std::move(all.roles)};
}

Result<Member> MemberServiceImpl::JudgeCreation(const Member& wanted) {
  ALLOD_TRY(const People people, PeopleOf(wanted));
  for (const Member& other : people.members) {
    if (other.id != wanted.id) continue;
    if (SameContent(other, wanted)) return other;
    return std::unexpected(TakenByOtherContent(wanted.name()));
  }
  ALLOD_CHECK_OK(CheckPlace(people, wanted));
  return wanted;
}

Result<Member> MemberServiceImpl::JudgeUpdate(const Member& wanted, const std::string& etag, const Caller& caller) {
  ALLOD_TRY(const Member standing, store_.GetMember(wanted.tenant, wanted.id));
  ALLOD_CHECK_OK(CheckEtag("member", wanted.name(), EtagOf(standing), etag));
  ALLOD_TRY(const auto roles, identities_.ReadRoles(wanted.tenant));
  ALLOD_CHECK_OK(CheckHolds(standing, HeldBy(caller).roles, StandingRoles(roles)));
  ALLOD_TRY(const People people, PeopleOf(wanted));
  ALLOD_CHECK_OK(CheckPlace(people, wanted));
  ALLOD_CHECK_OK(CheckOwnerRemains(people, With(people, wanted)));
  Member out = wanted;
  out.uid = standing.uid;
  out.create_time = standing.create_time;
  out.version = standing.version;
  return out;
}

grpc::Status MemberServiceImpl::CreateMember(grpc::ServerContext* context, const v1::CreateMemberRequest* request,
                                             v1::Member* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::Member> {
    ALLOD_TRY(Member wanted, MemberFromRequest(*request, clock_.Now()));
    ALLOD_TRY(const RequestId request_id, ReadRequestId(*request));
    if (request->validate_only()) {
      ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reads, call));
      ALLOD_TRY(wanted, Check(std::move(wanted), call.principal));
      ALLOD_TRY(const Member judged, JudgeCreation(wanted));
      return ToProto(judged);
    }
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.mutations, call));
    ALLOD_TRY(const Member made, InTurn(gates_.writes, call, [&]() -> Result<Member> {
                ALLOD_TRY(wanted, Check(std::move(wanted), call.principal));
                return store_.CreateMember(wanted, request_id);
              }));
    gateways_.AwaitInForce(*context, made.tenant, made.version);
    return ToProto(made);
  });
}

grpc::Status MemberServiceImpl::GetMember(grpc::ServerContext* context, const v1::GetMemberRequest* request,
                                          v1::Member* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::Member> {
    ALLOD_TRY(const MemberName name, MemberNameOf("name", request->name()));
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reads, call));
    ALLOD_TRY(const Member member, store_.GetMember(name.tenant, name.id));
    return ToProto(member);
  });
}

grpc::Status MemberServiceImpl::ListMembers(grpc::ServerContext* context, const v1::ListMembersRequest* request,
                                            v1::ListMembersResponse* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::ListMembersResponse> {
    ALLOD_TRY(const auto parts, MatchName("parent", request->parent(), "tenants/*"));
    ALLOD_TRY(const PageRequest page,
              ParsePage(request->parent() + "/members", request->page_size(), request->page_token()));
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reads, call));
    ALLOD_TRY(const auto members, store_.ListMembers(parts[0], page));
    v1::ListMembersResponse out;
    for (const Member& member : members.items) *out.add_members() = ToProto(member);
    out.set_next_page_token(members.next_page_token);
    return out;
  });
}

grpc::Status MemberServiceImpl::UpdateMember(grpc::ServerContext* context, const v1::UpdateMemberRequest* request,
                                             v1::Member* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::Member> {
    ALLOD_TRY(Member wanted, MemberFromRequest(*request));
    ALLOD_TRY(const RequestId request_id, ReadRequestId(*request));
    const std::string& etag = request->member().etag();
    if (request->validate_only()) {
      ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reads, call));
      ALLOD_TRY(wanted, Check(std::move(wanted), call.principal));
      ALLOD_TRY(const Member judged, JudgeUpdate(wanted, etag, call.principal));
      return ToProto(judged);
    }
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.mutations, call));
    ALLOD_TRY(const Member changed, InTurn(gates_.writes, call, [&]() -> Result<Member> {
                ALLOD_TRY(wanted, Check(std::move(wanted), call.principal));
                return store_.UpdateMember(wanted, etag, HeldBy(call.principal).roles, request_id);
              }));
    gateways_.AwaitInForce(*context, changed.tenant, changed.version);
    return ToProto(changed);
  });
}

grpc::Status MemberServiceImpl::DeleteMember(grpc::ServerContext* context, const v1::DeleteMemberRequest* request,
                                             google::protobuf::Empty* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<google::protobuf::Empty> {
    ALLOD_TRY(const MemberName name, MemberNameOf("name", request->name()));
    ALLOD_TRY(const RequestId request_id, ReadRequestId(*request));
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.mutations, call));
    ALLOD_TRY(const std::int64_t version, InTurn(gates_.writes, call, [&] {
                return store_.DeleteMember(name.tenant, name.id, HeldBy(call.principal).roles, request_id);
              }));
    gateways_.AwaitInForce(*context, name.tenant, version);
    return google::protobuf::Empty();
  });
}

}  // namespace allod::tenancy
