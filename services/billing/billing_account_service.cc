#include "services/billing/billing_account_service.h"

#include "services/billing/convert.h"
#include "services/common/rpc/server.h"

namespace allod::billing {

grpc::Status BillingAccountServiceImpl::SetBillingAccount(grpc::ServerContext* context,
                                                          const v1::SetBillingAccountRequest* request,
                                                          v1::BillingAccount* response) {
  return Handle("billing.SetBillingAccount", context, request, response,
                [&](const Caller& caller) -> Result<v1::BillingAccount> {
                  ALLOD_CHECK_OK(RequireOperator(caller));
                  ALLOD_TRY(const std::string tenant_name, TenantOfAccount(request->billing_account().name()));
                  ALLOD_TRY(const std::string currency, tenants_.CurrencyOf(tenant_name));
                  ALLOD_TRY(const SetAccountCommand command, FromProto(*request, currency));
                  ALLOD_TRY(const BillingAccount account, store_.SetBillingAccount(command, clock_.Now()));
                  return ToProto(account);
                });
}

grpc::Status BillingAccountServiceImpl::GetBillingAccount(grpc::ServerContext* context,
                                                          const v1::GetBillingAccountRequest* request,
                                                          v1::BillingAccount* response) {
  return Handle("billing.GetBillingAccount", context, request, response,
                [&](const Caller& caller) -> Result<v1::BillingAccount> {
                  ALLOD_TRY(const std::string tenant_name, TenantOfAccount(request->name()));
                  ALLOD_CHECK_OK(RequireTenant(caller, tenant_name));
                  ALLOD_TRY(const TenantId tenant, TenantId::FromName(tenant_name));
                  ALLOD_TRY(const CallGate::Pass pass, gates_.reads.Enter(caller));
                  ALLOD_TRY(const BillingAccount account, store_.GetBillingAccount(tenant));
                  return ToProto(account);
                });
}

}  // namespace allod::billing
