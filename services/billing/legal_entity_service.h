// RPCs of LegalEntityService. Thread-safe; borrows the store, the clock and the gates.
#pragma once

#include "allod/billing/v1/legal_entity.grpc.pb.h"
#include "services/billing/call_gates.h"
#include "services/billing/store.h"
#include "services/common/clock.h"

namespace allod::billing {

class LegalEntityServiceImpl final : public v1::LegalEntityService::Service {
 public:
  LegalEntityServiceImpl(Store& store, const Clock& clock, CallGates& gates)
      : store_(store), clock_(clock), gates_(gates) {}

  grpc::Status SetLegalEntity(grpc::ServerContext* context, const v1::SetLegalEntityRequest* request,
                              v1::LegalEntity* response) override;
  grpc::Status GetLegalEntity(grpc::ServerContext* context, const v1::GetLegalEntityRequest* request,
                              v1::LegalEntity* response) override;
  grpc::Status ListLegalEntities(grpc::ServerContext* context, const v1::ListLegalEntitiesRequest* request,
                                 v1::ListLegalEntitiesResponse* response) override;

 private:
  Store& store_;
  const Clock& clock_;
  CallGates& gates_;
};

}  // namespace allod::billing
