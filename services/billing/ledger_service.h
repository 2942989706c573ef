// RPCs of LedgerService. Thread-safe; borrows the store, the clock and the gates.
#pragma once

#include "allod/billing/v1/ledger.grpc.pb.h"
#include "services/billing/call_gates.h"
#include "services/billing/store.h"
#include "services/common/clock.h"

namespace allod::billing {

class LedgerServiceImpl final : public v1::LedgerService::Service {
 public:
  LedgerServiceImpl(Store& store, const Clock& clock, CallGates& gates) : store_(store), clock_(clock), gates_(gates) {}

  grpc::Status ListLedgerAccounts(grpc::ServerContext* context, const v1::ListLedgerAccountsRequest* request,
                                  v1::ListLedgerAccountsResponse* response) override;
  grpc::Status CheckLedger(grpc::ServerContext* context, const v1::CheckLedgerRequest* request,
                           v1::CheckLedgerResponse* response) override;

 private:
  Store& store_;
  const Clock& clock_;
  CallGates& gates_;
};

}  // namespace allod::billing
