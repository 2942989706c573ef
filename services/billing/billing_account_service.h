// RPCs of BillingAccountService. Thread-safe; borrows the store, the tenant directory, the clock
// and the gates.
#pragma once

#include "allod/billing/v1/billing_account.grpc.pb.h"
#include "services/billing/call_gates.h"
#include "services/billing/store.h"
#include "services/billing/tenant_directory.h"
#include "services/common/clock.h"

namespace allod::billing {

class BillingAccountServiceImpl final : public v1::BillingAccountService::Service {
 public:
  BillingAccountServiceImpl(Store& store, TenantDirectory& tenants, const Clock& clock, CallGates& gates)
      : store_(store), tenants_(tenants), clock_(clock), gates_(gates) {}

  grpc::Status SetBillingAccount(grpc::ServerContext* context, const v1::SetBillingAccountRequest* request,
                                 v1::BillingAccount* response) override;
  grpc::Status GetBillingAccount(grpc::ServerContext* context, const v1::GetBillingAccountRequest* request,
                                 v1::BillingAccount* response) override;
  grpc::Status SetBillingProfile(grpc::ServerContext* context, const v1::SetBillingProfileRequest* request,
                                 v1::BillingProfile* response) override;
  grpc::Status GetBillingProfile(grpc::ServerContext* context, const v1::GetBillingProfileRequest* request,
                                 v1::BillingProfile* response) override;

 private:
  // What SetBillingAccount would answer, without doing it.
  Result<BillingAccount> Judge(const SetAccountCommand& command);

  Store& store_;
  TenantDirectory& tenants_;
  const Clock& clock_;
  CallGates& gates_;
};

}  // namespace allod::billing
