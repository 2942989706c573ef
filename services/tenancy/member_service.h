// RPCs of MemberService. Thread-safe; borrows all that it is given. What changes members returns when the gateways that
// keep up have applied it.
#pragma once

#include "allod/tenancy/v1/member.grpc.pb.h"
#include "services/common/clock.h"
#include "services/common/rpc/caller.h"
#include "services/tenancy/call_gates.h"
#include "services/tenancy/identity_service.h"
#include "services/tenancy/identity_store.h"
#include "services/tenancy/member_store.h"
#include "services/tenancy/store.h"

namespace allod::tenancy {

class MemberServiceImpl final : public v1::MemberService::Service {
 public:
  // `identities` has the providers, `tenants` the projects.
  MemberServiceImpl(MemberStore& store, IdentityStore& identities, Store& tenants, IdentityServiceImpl& gateways,
                    const Clock& clock, CallGates& gates)
      : store_(store), identities_(identities), tenants_(tenants), gateways_(gateways), clock_(clock), gates_(gates) {}

  grpc::Status CreateMember(grpc::ServerContext* context, const v1::CreateMemberRequest* request,
                            v1::Member* response) override;
  grpc::Status GetMember(grpc::ServerContext* context, const v1::GetMemberRequest* request,
                         v1::Member* response) override;
  grpc::Status ListMembers(grpc::ServerContext* context, const v1::ListMembersRequest* request,
                           v1::ListMembersResponse* response) override;
  grpc::Status UpdateMember(grpc::ServerContext* context, const v1::UpdateMemberRequest* request,
                            v1::Member* response) override;
  grpc::Status DeleteMember(grpc::ServerContext* context, const v1::DeleteMemberRequest* request,
                            google::protobuf::Empty* response) override;

 private:
  // Checked against its provider and what the caller may hand on.
  Result<Member> Check(Member member, const Caller& caller);
  // What the change would leave, without making it.
  Result<Member> JudgeCreation(const Member& wanted);
  Result<Member> JudgeUpdate(const Member& wanted, const std::string& etag, const Caller& caller);
  Result<People> PeopleOf(const Member& wanted);

  MemberStore& store_;
  IdentityStore& identities_;
  Store& tenants_;
  IdentityServiceImpl& gateways_;
  const Clock& clock_;
  CallGates& gates_;
};

}  // namespace allod::tenancy
