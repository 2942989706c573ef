#include "services/tenancy/audit_service.h"

#include "services/common/rpc/server.h"
#include "services/tenancy/convert_people.h"

namespace allod::tenancy {

grpc::Status AuditServiceImpl::EraseAuditPerson(grpc::ServerContext* context,
                                                const v1::EraseAuditPersonRequest* request,
                                                v1::EraseAuditPersonResponse* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::EraseAuditPersonResponse> {
    ALLOD_TRY(const auto parts, MatchName("parent", request->parent(), "tenants/*"));
    const std::string& tenant = parts[0];
    if (request->member().empty() != request->has_person()) {
      return InvalidArgument("INVALID_PERSON", "say either of which member the log is to tell no more, or of whom");
    }
    std::string member;
    Person person;
    if (request->has_person()) {
      ALLOD_TRY(person, PersonFrom(request->person().identity_provider(), request->person().subject(), tenant));
    } else {
      ALLOD_TRY(const MemberName name, MemberNameOf("member", request->member()));
      if (name.tenant != tenant) {
        return InvalidArgument("INVALID_NAME", "member: " + request->member() + " is another tenant's");
      }
      member = name.id;
    }
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.mutations, call));
    v1::EraseAuditPersonResponse out;
    out.set_has_more(true);
    for (int i = 0; i < kBatchesPerCall && out.has_more(); ++i) {
      ALLOD_TRY(const Erasure done, InTurn(gates_.writes, call, [&] {
                  return request->has_person() ? erasure_.ErasePerson(tenant, person, kEntriesPerBatch)
                                               : erasure_.EraseMember(tenant, member, kEntriesPerBatch);
                }));
      out.set_erased(out.erased() + done.erased);
      out.set_has_more(done.more);
    }
    return out;
  });
}

}  // namespace allod::tenancy
