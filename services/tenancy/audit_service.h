// RPCs of AuditService: reading the log (services/common/audit/reader.h), and erasing what it says of a person.
// Thread-safe; borrows everything.
#pragma once

#include "allod/tenancy/v1/audit.grpc.pb.h"
#include "services/common/audit/reader.h"
#include "services/tenancy/audit_erasure.h"
#include "services/tenancy/call_gates.h"

namespace allod::tenancy {

class AuditServiceImpl final
    : public audit::AuditService<v1::AuditService, v1::ListAuditEntriesRequest, v1::GetAuditHeadRequest> {
 public:
  AuditServiceImpl(audit::Reader& reader, AuditErasure& erasure, CallGates& gates)
      : AuditService(reader), erasure_(erasure), gates_(gates) {}

  grpc::Status EraseAuditPerson(grpc::ServerContext* context, const v1::EraseAuditPersonRequest* request,
                                v1::EraseAuditPersonResponse* response) override;

  static constexpr int kEntriesPerBatch = 500;
  static constexpr int kBatchesPerCall = 20;

 private:
  AuditErasure& erasure_;
  CallGates& gates_;
};

}  // namespace allod::tenancy
