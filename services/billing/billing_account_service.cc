#include "services/billing/billing_account_service.h"

#include "services/billing/convert.h"
#include "services/billing/convert_invoice.h"
#include "services/common/fault_point.h"
#include "services/common/rpc/server.h"

namespace allod::billing {

Result<BillingAccount> BillingAccountServiceImpl::Judge(const SetAccountCommand& command) {
  auto account = store_.GetBillingAccount(command.tenant);
  if (!account && account.error().code == Code::kNotFound) {
    return BillingAccount{.tenant = command.tenant,
                          .tenant_name = command.tenant_name,
                          .currency_code = command.currency_code,
                          .credit_limit = command.credit_limit};
  }
  if (!account) return account;
  if (account->currency_code != command.currency_code) {
    return std::unexpected(CurrencyImmutable(account->currency_code, command.currency_code));
  }
  account->credit_limit = command.credit_limit;
  return account;
}

grpc::Status BillingAccountServiceImpl::SetBillingAccount(grpc::ServerContext* context,
                                                          const v1::SetBillingAccountRequest* request,
                                                          v1::BillingAccount* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::BillingAccount> {
    ALLOD_TRY(const std::string tenant_name, TenantOfAccount(request->billing_account().name()));
    // First: a plan asks before the tenant is made.
    ALLOD_CHECK_OK(CheckOwnContent(*request));
    ALLOD_TRY(const std::string currency, tenants_.CurrencyOf(tenant_name));
    ALLOD_TRY(const SetAccountCommand command, FromProto(*request, currency));
    if (request->validate_only()) {
      ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reads, call));
      ALLOD_TRY(const BillingAccount judged, Judge(command));
      return ToProto(judged);
    }
    ALLOD_TRY(const BillingAccount account, store_.SetBillingAccount(command, clock_.Now()));
    ALLOD_CHECK_OK(TryFaultPoint(FaultPoint::kAccountCommitted));
    return ToProto(account);
  });
}

grpc::Status BillingAccountServiceImpl::GetBillingAccount(grpc::ServerContext* context,
                                                          const v1::GetBillingAccountRequest* request,
                                                          v1::BillingAccount* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::BillingAccount> {
    ALLOD_TRY(const std::string tenant_name, TenantOfAccount(request->name()));
    ALLOD_TRY(const TenantId tenant, TenantId::FromName(tenant_name));
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reads, call));
    ALLOD_TRY(const BillingAccount account, store_.GetBillingAccount(tenant));
    return ToProto(account);
  });
}

grpc::Status BillingAccountServiceImpl::SetBillingProfile(grpc::ServerContext* context,
                                                          const v1::SetBillingProfileRequest* request,
                                                          v1::BillingProfile* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::BillingProfile> {
    ALLOD_TRY(const BillingProfile profile, FromProto(request->billing_profile()));
    {
      ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reads, call));
      const auto issuer = store_.GetLegalEntity(profile.legal_entity);
      if (!issuer && issuer.error().code == Code::kNotFound) {
        return std::unexpected(NoLegalEntity(profile.legal_entity));
      }
      if (!issuer) return std::unexpected(issuer.error());
      ALLOD_CHECK_OK(CheckTaxIds(profile.tax, issuer->party, profile.buyer));
      if (request->validate_only()) return ToProto(profile);
    }
    ALLOD_TRY(const BillingProfile stored, store_.SetBillingProfile(profile, clock_.Now()));
    return ToProto(stored);
  });
}

grpc::Status BillingAccountServiceImpl::GetBillingProfile(grpc::ServerContext* context,
                                                          const v1::GetBillingProfileRequest* request,
                                                          v1::BillingProfile* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::BillingProfile> {
    ALLOD_CHECK_OK(MatchName("name", request->name(), "tenants/*/billingProfile"));
    ALLOD_TRY(const TenantId tenant, TenantId::FromName(request->name()));
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reads, call));
    ALLOD_TRY(const BillingProfile profile, store_.GetBillingProfile(tenant));
    return ToProto(profile);
  });
}

}  // namespace allod::billing
