// Billing accounts.

#include "allod/billing/v1/billing_account.grpc.pb.h"
#include "cli/kinds/calls.h"
#include "services/common/ids.h"

namespace allod::cli::kinds {
namespace {

namespace billing_v1 = allod::billing::v1;
using google::protobuf::Message;
using net::Services;

ResourceKind BillingAccountKind() {
  const auto set = [](const Services& services, const Message& wanted, const Attempt& attempt) {
    billing_v1::SetBillingAccountRequest request;
    *request.mutable_billing_account() = dynamic_cast<const billing_v1::BillingAccount&>(wanted);
    Mark(request, attempt);
    return net::Ask<billing_v1::BillingAccountService>(
        services, &billing_v1::BillingAccountService::Stub::SetBillingAccount, request);
  };
  return {.kind = "BillingAccount",
          .plural = "billingAccounts",
          .pattern = "tenants/*/billingAccount",
          .columns = {{"NAME", "name"},
                      {"CURRENCY", "currency_code"},
                      {"CREDIT LIMIT", "credit_limit"},
                      {"POSTED", "posted.amount"},
                      {"HELD", "held.amount"}},
          .prototype = &billing_v1::BillingAccount::default_instance(),
          .spec_fields = {"currency_code", "credit_limit"},
          .decimals = {"allod.billing.v1.BillingAccount.credit_limit"},
          .get = Getter<billing_v1::BillingAccountService>(&billing_v1::BillingAccountService::Stub::GetBillingAccount),
          .create = [set](const Services& services, const Message& wanted,
                          const Attempt& attempt) { return Done(set(services, wanted, attempt)); },
          .missing =
              [](const Message& wanted, const Error& error) {
                return IfNotFound(error, {TenantOf(dynamic_cast<const billing_v1::BillingAccount&>(wanted).name())});
              },
          .preview = [set](const Services& services, const Message&,
                           const Message& wanted) { return Own(set(services, wanted, {.validate_only = true})); },
          .update =
              [set](const Services& services, const Message&, const Message& wanted, const std::string& request_id) {
                return Done(set(services, wanted, {.request_id = request_id}));
              }};
}

}  // namespace

std::vector<ResourceKind> BillingAccountKinds() { return {BillingAccountKind()}; }

}  // namespace allod::cli::kinds
