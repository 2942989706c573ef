// RPCs of LedgerService. Thread-safe; borrows the store.
#pragma once

#include "allod/billing/v1/ledger.grpc.pb.h"
#include "services/billing/store.h"

namespace allod::billing {

class LedgerServiceImpl final : public v1::LedgerService::Service {
 public:
  explicit LedgerServiceImpl(Store& store) : store_(store) {}

  grpc::Status ListLedgerAccounts(grpc::ServerContext* context, const v1::ListLedgerAccountsRequest* request,
                                  v1::ListLedgerAccountsResponse* response) override;
  grpc::Status CheckLedger(grpc::ServerContext* context, const v1::CheckLedgerRequest* request,
                           v1::CheckLedgerResponse* response) override;

 private:
  Store& store_;
};

}  // namespace allod::billing
